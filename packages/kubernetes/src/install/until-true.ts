import { setTimeout as sleep } from "node:timers/promises";
import { ClusterError } from "../cluster/cluster.ts";
import { KubernetesError } from "../kubernetes-error.ts";

export interface Patience {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

const LOOK_INTERVAL_MS = 1_000;

/** Looks until `findProblem` finds none. What it found last is the reason when time runs out. Throws E-CLUSTER with `what` and that reason. */
export async function untilTrue(
  what: string,
  { timeoutMs, signal }: Patience,
  findProblem: () => Promise<string | undefined>,
  remedy = "See: kubectl get pods -A, and kubectl describe of the pod that is not ready.",
): Promise<void> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    let problem: string | undefined;
    try {
      problem = await findProblem();
    } catch (error) {
      if (!(error instanceof ClusterError) || error.status === 403) throw error;
      problem = error.message;
    }
    if (problem === undefined) return;
    if (Date.now() > end) throw new KubernetesError("E-CLUSTER", `${what}: ${problem}`, { remedy });
    await sleep(LOOK_INTERVAL_MS, undefined, { signal });
  }
}
