import type { CasResource } from "../custom-resources/resources.ts";

/** On each node: kept by the node agent, closed to everybody but root. What is mounted into pods of a CAS lies inside. */
export const NODE_PLATFORM_DIRECTORY = "/var/lib/vouchsafe/platform";
/** The node's platform keys for CAS, on the node. */
export const NODE_KEYS_DIRECTORY = `${NODE_PLATFORM_DIRECTORY}/keys`;
const MOUNT = "/var/lib/vouchsafe-platform";
/** The node's platform key as the pods see it: one for each node, as a TEE would have one. */
export const NODE_PLATFORM_KEY = `${MOUNT}/platform.key`;

export const nodePlatformVolume = { name: "platform", hostPath: { path: NODE_KEYS_DIRECTORY, type: "Directory" } } as const;
export const nodePlatformMount = { name: "platform", mountPath: MOUNT } as const;

/** What the operator found out about the namespace of a CAS before it plans anything. */
export interface CasPlace {
  /** Pod Security of the namespace lets a pod use a directory of its node. */
  readonly allowsNodeDirectories: boolean;
}

/** Why nodes cannot be registered for this CAS; undefined where they can (C-75). */
export function backupObstacle(cas: CasResource, place: CasPlace): { readonly reason: string; readonly message: string } | undefined {
  const { namespace = "default" } = cas.metadata;
  if (!cas.spec.persistence.enabled) {
    const message = "the database ends with its pod, so there is nothing that another node could take over: set spec.persistence.enabled";
    return { reason: "NoVolume", message };
  }
  if (place.allowsNodeDirectories) return undefined;
  const message = `Pod Security of the namespace ${namespace} forbids pods to use the platform key of their node; put the CAS into a namespace that allows it (pod-security.kubernetes.io/enforce=privileged), such as that of the platform`;
  return { reason: "PodSecurity", message };
}

/** Does this CAS use the platform key of the node that it runs on? */
export const usesNodeKey = (cas: CasResource, place: CasPlace): boolean =>
  cas.spec["backup-controller"].enabled && backupObstacle(cas, place) === undefined;
