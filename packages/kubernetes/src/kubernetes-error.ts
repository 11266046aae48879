export type KubernetesErrorCode =
  /** No cluster configured, or its API does not answer. */
  | "E-CLUSTER"
  | "E-KUBECONFIG-LIST"
  | "E-NAMESPACE-MISSING"
  | "E-SVC-UNSUPPORTED"
  | "E-CAS-NAME"
  | "E-CAS-MISSING"
  | "E-CAS-PRESENT"
  | "E-CAS-UNHEALTHY"
  | "E-CAS-UNPROVISIONED"
  | "E-CAS-OWNER"
  | "E-CAS-ATTESTATION"
  | "E-CAS-UPGRADE"
  | "E-SNAPSHOT"
  | "E-OPTION-VALUE"
  | "E-OPTION-UNKNOWN"
  | "E-ARGUMENT"
  /** The node agent cannot, or must not, vouch for a caller. */
  | "E-AGENT-CALLER"
  | "E-AGENT-RUNTIME"
  | "E-AGENT-KEY";

/** A failure whose cause lies outside this program: a cluster, its objects, a caller. Anything else thrown is a bug. */
export class KubernetesError extends Error {
  readonly code: KubernetesErrorCode;
  /** What the reader can do about it: one sentence in the imperative. */
  readonly remedy: string | undefined;
  constructor(code: KubernetesErrorCode, message: string, options: { remedy?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = "KubernetesError";
    this.code = code;
    this.remedy = options.remedy;
  }
}
