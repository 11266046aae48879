/** Annotation of a CAS resource: when its owner last changed something in the CAS itself, which no object of the cluster shows. The operator looks at once. */
export const CHANGED_ANNOTATION = "vouchsafe.dev/changed-at";
