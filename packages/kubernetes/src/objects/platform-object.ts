/** Any Kubernetes object, as data. What the API server does not know it refuses. */
export interface PlatformObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    /** Where an object is replaced: the version that must still be there. */
    readonly resourceVersion?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly OwnerReference[];
  };
  readonly [field: string]: unknown;
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller: true;
}

/** Resources that charts request to land on a node with a TEE (CL-64). */
export const DEVICE_RESOURCES = ["sgx.intel.com/enclave", "sgx.k8s.io/sgx"] as const;
export const PLATFORM_NAMESPACE = "scone-system";
export const PART_OF = "vouchsafe";
/** User and group of the platform's own unprivileged pods. */
export const PLATFORM_USER = 65_532;

/** Labels of a component; the first two select its pods. */
export function componentLabels(name: string, instance: string): Readonly<Record<string, string>> {
  return {
    ...componentSelector(name, instance),
    "app.kubernetes.io/part-of": PART_OF,
    "app.kubernetes.io/managed-by": "vouchsafe-operator",
  };
}

export const componentSelector = (name: string, instance: string): Readonly<Record<string, string>> => ({
  "app.kubernetes.io/name": name,
  "app.kubernetes.io/instance": instance,
});

/** The pod and container settings that Pod Security "restricted" asks for. */
export const RESTRICTED_POD = {
  runAsNonRoot: true,
  runAsUser: PLATFORM_USER,
  runAsGroup: PLATFORM_USER,
  fsGroup: PLATFORM_USER,
  seccompProfile: { type: "RuntimeDefault" },
} as const;
export const RESTRICTED_CONTAINER = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
} as const;

/** A copy without fields that are undefined, all the way down: an absent field and `undefined` are the same to the API server. */
export function definedFields<T>(value: T): T {
  if (Array.isArray(value)) return value.map(definedFields) as T; // element by element the same type
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(entries.map(([name, field]) => [name, definedFields(field)])) as T; // only undefined fields are missing
}
