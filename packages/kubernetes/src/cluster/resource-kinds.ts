interface ResourceKind {
  readonly plural: string;
  readonly isNamespaced: boolean;
}

/** How the API spells the kinds that the platform touches. */
const KINDS: Readonly<Record<string, ResourceKind>> = {
  "v1/Namespace": { plural: "namespaces", isNamespaced: false },
  "v1/Node": { plural: "nodes", isNamespaced: false },
  "v1/Pod": { plural: "pods", isNamespaced: true },
  "v1/Event": { plural: "events", isNamespaced: true },
  "v1/Service": { plural: "services", isNamespaced: true },
  "v1/ConfigMap": { plural: "configmaps", isNamespaced: true },
  "v1/Secret": { plural: "secrets", isNamespaced: true },
  "v1/ServiceAccount": { plural: "serviceaccounts", isNamespaced: true },
  "v1/PersistentVolumeClaim": { plural: "persistentvolumeclaims", isNamespaced: true },
  "coordination.k8s.io/v1/Lease": { plural: "leases", isNamespaced: true },
  "policy/v1/PodDisruptionBudget": { plural: "poddisruptionbudgets", isNamespaced: true },
  "authorization.k8s.io/v1/SelfSubjectAccessReview": { plural: "selfsubjectaccessreviews", isNamespaced: false },
  "authorization.k8s.io/v1/SubjectAccessReview": { plural: "subjectaccessreviews", isNamespaced: false },
  "apps/v1/Deployment": { plural: "deployments", isNamespaced: true },
  "apps/v1/StatefulSet": { plural: "statefulsets", isNamespaced: true },
  "apps/v1/DaemonSet": { plural: "daemonsets", isNamespaced: true },
  "batch/v1/Job": { plural: "jobs", isNamespaced: true },
  "networking.k8s.io/v1/NetworkPolicy": { plural: "networkpolicies", isNamespaced: true },
  "rbac.authorization.k8s.io/v1/Role": { plural: "roles", isNamespaced: true },
  "rbac.authorization.k8s.io/v1/RoleBinding": { plural: "rolebindings", isNamespaced: true },
  "rbac.authorization.k8s.io/v1/ClusterRole": { plural: "clusterroles", isNamespaced: false },
  "rbac.authorization.k8s.io/v1/ClusterRoleBinding": { plural: "clusterrolebindings", isNamespaced: false },
  "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy": { plural: "validatingadmissionpolicies", isNamespaced: false },
  "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicyBinding": { plural: "validatingadmissionpolicybindings", isNamespaced: false },
  "apiextensions.k8s.io/v1/CustomResourceDefinition": { plural: "customresourcedefinitions", isNamespaced: false },
  "storage.k8s.io/v1/StorageClass": { plural: "storageclasses", isNamespaced: false },
  "base.scone.cloud/v1beta1/LAS": { plural: "las", isNamespaced: false },
  "base.scone.cloud/v1beta1/SGXPlugin": { plural: "sgxplugins", isNamespaced: false },
  "services.scone.cloud/v1beta1/CAS": { plural: "cas", isNamespaced: true },
  "cas.scone.cloud/v1beta1/SignedPolicy": { plural: "signedpolicies", isNamespaced: true },
  "cas.scone.cloud/v1beta1/EncryptedPolicy": { plural: "encryptedpolicies", isNamespaced: true },
};

/** Which objects: of one kind, in one namespace or in all. */
export interface Collection {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace?: string | undefined;
}

/** Path of a collection of objects below the server's address. A kind that is not in the table is a mistake in code: TypeError. */
export function collectionPath({ apiVersion, kind, namespace }: Collection): string {
  const entry = KINDS[`${apiVersion}/${kind}`];
  if (entry === undefined) throw new TypeError(`no path is known for ${apiVersion}/${kind}`);
  const base = apiVersion === "v1" ? "/api/v1" : `/apis/${apiVersion}`;
  return entry.isNamespaced && namespace !== undefined ? `${base}/namespaces/${namespace}/${entry.plural}` : `${base}/${entry.plural}`;
}

export const isNamespaced = (apiVersion: string, kind: string): boolean => KINDS[`${apiVersion}/${kind}`]?.isNamespaced ?? false;
