import { z } from "zod";
import type { State } from "../custom-resources/resources.ts";

const ContainerState = z.object({
  ready: z.boolean().default(false),
  restartCount: z.number().default(0),
  state: z.object({ waiting: z.object({ reason: z.string().default(""), message: z.string().default("") }).optional() }).prefault({}),
  lastState: z.object({ terminated: z.object({ message: z.string().default("") }).optional() }).prefault({}),
});
export const Pod = z.object({
  metadata: z.object({ name: z.string(), namespace: z.string(), uid: z.string(), deletionTimestamp: z.string().optional() }),
  spec: z.object({ nodeName: z.string().optional() }).prefault({}),
  status: z
    .object({
      phase: z.string().default("Pending"),
      hostIP: z.string().optional(),
      podIP: z.string().optional(),
      initContainerStatuses: z.array(ContainerState).default([]),
      containerStatuses: z.array(ContainerState).default([]),
      conditions: z
        .array(z.object({ type: z.string(), status: z.string(), reason: z.string().default(""), message: z.string().default("") }))
        .default([]),
    })
    .prefault({}),
});
export type Pod = z.infer<typeof Pod>;

export interface PodHealth {
  readonly state: State;
  readonly reason: string;
  readonly message: string;
}

/** Waiting for these ends only when a person changes something. */
const STUCK = new Set([
  "ImagePullBackOff",
  "ErrImagePull",
  "InvalidImageName",
  "CrashLoopBackOff",
  "CreateContainerConfigError",
  "CreateContainerError",
  "RunContainerError",
]);

/** The error that a container ended with, from the last lines of its log. */
function lastWords(log: string | undefined): string | undefined {
  const lines = (log ?? "").trim().split("\n");
  const at = lines.findLastIndex((line) => /^error|^\S+ \S+ ERROR /.test(line));
  return at < 0 ? undefined : lines.slice(at).join(" ").slice(0, 1_000);
}

/** What a pod's status means for whoever waits for it. */
export function judgePod(pod: Pod | undefined): PodHealth {
  if (pod === undefined) return { state: "PENDING", reason: "PodMissing", message: "the pod has not been created yet" };
  const unschedulable = pod.status.conditions.find(({ type, reason }) => type === "PodScheduled" && reason === "Unschedulable");
  if (unschedulable !== undefined) return { state: "UNHEALTHY", reason: "Unschedulable", message: unschedulable.message };
  for (const { state, lastState } of [...pod.status.initContainerStatuses, ...pod.status.containerStatuses]) {
    if (state.waiting !== undefined && STUCK.has(state.waiting.reason)) {
      return {
        state: "UNHEALTHY",
        reason: state.waiting.reason,
        message: `${pod.metadata.name}: ${lastWords(lastState.terminated?.message) || state.waiting.message || state.waiting.reason}`,
      };
    }
  }
  const isReady = pod.status.containerStatuses.length > 0 && pod.status.containerStatuses.every(({ ready }) => ready);
  if (isReady) return { state: "HEALTHY", reason: "Ready", message: `${pod.metadata.name} is ready` };
  return { state: "PENDING", reason: "Starting", message: `${pod.metadata.name} is starting` };
}
