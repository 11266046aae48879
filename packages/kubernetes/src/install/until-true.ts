import { setTimeout as sleep } from "node:timers/promises";
import { ClusterError } from "../cluster/cluster.ts";
import { KubernetesError } from "../kubernetes-error.ts";

export interface Patience {
  /** Longest wait in which nothing moves. */
  readonly timeoutMs: number;
  /** Longest wait in all, while something still moves; `timeoutMs` unless given. */
  readonly limitMs?: number | undefined;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
  /** What stands for movement besides the problem itself: a text that was never seen before is a step forward. */
  readonly findMark?: (() => Promise<string>) | undefined;
  /** The pause between two looks and the clock, for tests. */
  readonly pace?: { readonly intervalMs: number; readonly now: () => number } | undefined;
}

const PACE = { intervalMs: 1_000, now: Date.now };
/** After this time the reason is told, and again after each such time. */
const SAY_AFTER_MS = 20_000;

/**
 * Looks until `findProblem` finds none, as long as something moves, and says what it waits for. What it found last is the reason when time runs out. Throws
 * E-CLUSTER with `what`, that reason, and which of the two limits was reached.
 */
export async function untilTrue(
  what: string,
  { timeoutMs, limitMs = timeoutMs, signal, log, findMark, pace: { intervalMs, now } = PACE }: Patience,
  findProblem: () => Promise<string | undefined>,
  remedy = "See: kubectl get pods -A, and kubectl describe of the pod that is not ready.",
): Promise<void> {
  const begun = now();
  const seen = new Set<string>();
  let [movedAt, saidAt] = [begun, begun];
  for (;;) {
    let problem: string | undefined;
    let mark = "";
    try {
      problem = await findProblem();
      if (problem !== undefined) mark = (await findMark?.()) ?? "";
    } catch (error) {
      if (!(error instanceof ClusterError) || error.status === 403) throw error;
      problem = error.message;
    }
    if (problem === undefined) return;
    const at = now();
    const step = `${problem}\n${mark}`;
    if (!seen.has(step)) movedAt = at;
    seen.add(step);
    const isStuck = at - movedAt > timeoutMs;
    if (isStuck || at - begun > limitMs) {
      const limit = isStuck ? `nothing moved for ${seconds(at - movedAt)}` : `it was not done after ${seconds(at - begun)}`;
      throw new KubernetesError("E-CLUSTER", `${what}: ${problem} (${limit})`, { remedy });
    }
    if (at - saidAt > SAY_AFTER_MS) {
      log(`waiting for ${seconds(at - begun)}: ${problem}`);
      saidAt = at;
    }
    await sleep(intervalMs, undefined, { signal });
  }
}

const seconds = (ms: number): string => `${Math.round(ms / 1000)} s`;
