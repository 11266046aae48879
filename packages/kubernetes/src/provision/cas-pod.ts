import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { type Cluster, ClusterError } from "../cluster/cluster.ts";
import { KubernetesError } from "../kubernetes-error.ts";
import { judgePod, Pod } from "../operator/pod-health.ts";
import type { CasName } from "./inspect-cas.ts";

const LOOK_INTERVAL_MS = 1_000;
const RunningPod = z.object({ spec: z.object({ containers: z.array(z.object({ image: z.string() })).min(1) }) });

export const podHeader = ({ name, namespace }: CasName) => ({ apiVersion: "v1", kind: "Pod", metadata: { name: `${name}-0`, namespace } });

/** Undefined where there is no pod at the moment. */
export async function podImage(cluster: Cluster, cas: CasName): Promise<string | undefined> {
  return RunningPod.safeParse(await cluster.find(podHeader(cas))).data?.spec.containers[0]?.image;
}

/** Undefined where there is no pod at the moment, and for whoever may not look. */
export async function podUid(cluster: Cluster, cas: CasName): Promise<string | undefined> {
  try {
    return Pod.safeParse(await cluster.find(podHeader(cas))).data?.metadata.uid;
  } catch (error) {
    if (error instanceof ClusterError && error.status === 403) return undefined;
    throw error;
  }
}

/** Waits until the pod of a CAS is a healthy one with this image. Throws E-CAS-UNHEALTHY after the time, or where the image cannot be had. */
export async function untilPodRuns(cluster: Cluster, cas: CasName, image: string, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const pod = Pod.safeParse(await cluster.find(podHeader(cas))).data;
    const health = judgePod(pod);
    const isNew = pod?.metadata.deletionTimestamp === undefined && (await podImage(cluster, cas)) === image;
    if (isNew && health.state === "HEALTHY") return;
    if (Date.now() > end || (isNew && health.state === "UNHEALTHY" && health.reason === "ImagePullBackOff")) {
      throw new KubernetesError("E-CAS-UNHEALTHY", health.message);
    }
    await sleep(LOOK_INTERVAL_MS, undefined, { signal });
  }
}
