import { z } from "zod";
import { PART_OF } from "../objects/platform-object.ts";
import { judgePod, Pod } from "./pod-health.ts";

/** The resource whose pods have this value of the label `app.kubernetes.io/name`; LAS are not in a namespace. */
const RESOURCES = { cas: "CAS", "cas-backup": "CAS", las: "LAS" } as const;
const Labels = z.object({
  metadata: z.object({
    labels: z.object({ "app.kubernetes.io/name": z.enum(["cas", "cas-backup", "las"]), "app.kubernetes.io/instance": z.string() }),
  }),
});

/** Chooses the pods whose state is that of a resource. Anybody may label a pod so: one that names no resource is not among them. */
export const PLATFORM_PODS = [
  `app.kubernetes.io/part-of=${PART_OF}`,
  `app.kubernetes.io/name in (${Object.keys(RESOURCES).join(",")})`,
  "app.kubernetes.io/instance",
].join(",");

export interface PodNews {
  readonly uid: string;
  /** The resource that the pod belongs to. */
  readonly kind: "CAS" | "LAS";
  readonly namespace: string;
  readonly name: string;
  /** Another text whenever the pod means something else for its resource. */
  readonly state: string;
}

/** What a pod that `PLATFORM_PODS` chose means for its resource. */
export function readPodNews(object: object): PodNews {
  const { labels } = Labels.parse(object).metadata;
  const pod = Pod.parse(object);
  const kind = RESOURCES[labels["app.kubernetes.io/name"]];
  const { reason, message } = judgePod(pod);
  const isGoing = pod.metadata.deletionTimestamp !== undefined;
  return {
    uid: pod.metadata.uid,
    kind,
    namespace: kind === "LAS" ? "" : pod.metadata.namespace,
    name: labels["app.kubernetes.io/instance"],
    state: JSON.stringify([pod.status.phase, pod.status.podIP, isGoing, reason, message]),
  };
}
