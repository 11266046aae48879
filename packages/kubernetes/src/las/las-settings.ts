import { z } from "zod";
import { KubernetesError } from "../kubernetes-error.ts";
import type { AgentPod } from "./enrolment.ts";

const Settings = z.object({
  VOUCHSAFE_NODE_NAME: z.string().min(1),
  VOUCHSAFE_AGENT_HOST: z.string().min(1),
  VOUCHSAFE_AGENT_PORT: z.string().regex(/^[0-9]{1,5}$/),
  VOUCHSAFE_AGENT_STATE: z.string().startsWith("/"),
  VOUCHSAFE_PLATFORM_DIRECTORY: z.string().startsWith("/"),
  VOUCHSAFE_AGENT_NAMESPACE: z.string().min(1),
  VOUCHSAFE_CONTAINER_RUNTIME: z.string().startsWith("/"),
  VOUCHSAFE_SECCOMP_DIRECTORY: z.string().startsWith("/"),
  VOUCHSAFE_HOST_ROOT: z.string().startsWith("/"),
  VOUCHSAFE_POD_NAME: z.string().min(1),
  VOUCHSAFE_POD_UID: z.string().min(1),
});

export interface LasSettings {
  readonly node: string;
  /** The node's address; only there the agent listens. */
  readonly host: string;
  readonly port: number;
  readonly stateDirectory: string;
  /** Where the node's platform keys for CAS lie. */
  readonly platformDirectory: string;
  /** The agent's own pod. */
  readonly pod: AgentPod;
  readonly containerRuntime: string;
  readonly seccompDirectory: string;
  /** Where the node's root directory is mounted. */
  readonly hostRoot: string;
}

/** What the DaemonSet told the agent. Throws E-OPTION-VALUE and names every variable that is missing. */
export function readLasSettings(environment: Readonly<Record<string, string | undefined>>): LasSettings {
  const parsed = Settings.safeParse(environment);
  if (!parsed.success) {
    const names = parsed.error.issues.map(({ path }) => path.join(".")).join(", ");
    throw new KubernetesError("E-OPTION-VALUE", `the node agent needs ${names}`, { remedy: "Let the operator start it: kubectl get las." });
  }
  const values = parsed.data;
  return {
    node: values.VOUCHSAFE_NODE_NAME,
    host: values.VOUCHSAFE_AGENT_HOST,
    port: Number(values.VOUCHSAFE_AGENT_PORT),
    stateDirectory: values.VOUCHSAFE_AGENT_STATE,
    platformDirectory: values.VOUCHSAFE_PLATFORM_DIRECTORY,
    pod: { namespace: values.VOUCHSAFE_AGENT_NAMESPACE, name: values.VOUCHSAFE_POD_NAME, uid: values.VOUCHSAFE_POD_UID },
    containerRuntime: values.VOUCHSAFE_CONTAINER_RUNTIME,
    seccompDirectory: values.VOUCHSAFE_SECCOMP_DIRECTORY,
    hostRoot: values.VOUCHSAFE_HOST_ROOT,
  };
}
