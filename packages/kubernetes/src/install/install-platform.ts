import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { type Cluster, ClusterError } from "../cluster/cluster.ts";
import { KubernetesError } from "../kubernetes-error.ts";
import { type PlatformSettings, planPlatform } from "../objects/operator-objects.ts";
import type { PlatformObject } from "../objects/platform-object.ts";

export interface InstallOptions {
  /** Return only when the operator runs and every node's agent answers. */
  readonly isWaiting: boolean;
  readonly timeoutMs: number;
  readonly log: (line: string) => void;
  readonly signal: AbortSignal;
}

const LOOK_INTERVAL_MS = 1_000;
const Established = z.object({
  status: z.object({ conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]) }).prefault({}),
});
const WithState = z.object({
  status: z
    .object({ state: z.string().default("PENDING"), conditions: z.array(z.object({ message: z.string() })).default([]) })
    .prefault({}),
});

/** Installs or updates the cluster side (`sconectl init`). Repeating it is harmless. Throws E-CLUSTER with what did not become ready. */
export async function installPlatform(cluster: Cluster, settings: PlatformSettings, options: InstallOptions): Promise<void> {
  const objects = planPlatform(settings);
  const definitions = objects.filter(({ kind }) => kind === "CustomResourceDefinition");
  for (const object of definitions) await cluster.apply(object);
  for (const object of definitions) await untilEstablished(cluster, object, options);
  for (const object of objects.filter(({ kind }) => kind !== "CustomResourceDefinition")) {
    await cluster.apply(object);
    options.log(`applied ${object.kind} ${object.metadata.name}`);
  }
  if (!options.isWaiting) return;
  for (const object of objects.filter(({ kind }) => kind === "LAS" || kind === "SGXPlugin")) await untilHealthy(cluster, object, options);
}

async function untilEstablished(cluster: Cluster, definition: PlatformObject, options: InstallOptions): Promise<void> {
  await untilTrue(`definition ${definition.metadata.name}`, options, async () => {
    const found = Established.parse(await cluster.find(definition));
    const isEstablished = found.status.conditions.some(({ type, status }) => type === "Established" && status === "True");
    return isEstablished ? undefined : "it is not served yet";
  });
}

async function untilHealthy(cluster: Cluster, object: PlatformObject, options: InstallOptions): Promise<void> {
  await untilTrue(`${object.kind} ${object.metadata.name}`, options, async () => {
    const { status } = WithState.parse(await cluster.find(object));
    if (status.state === "HEALTHY") return undefined;
    return status.conditions[0]?.message ?? "the operator has not looked at it yet";
  });
  options.log(`${object.kind} ${object.metadata.name} is HEALTHY`);
}

/** Looks until `findProblem` finds none. What it found last is the reason when time runs out. */
async function untilTrue(what: string, options: InstallOptions, findProblem: () => Promise<string | undefined>): Promise<void> {
  const end = Date.now() + options.timeoutMs;
  for (;;) {
    let problem: string | undefined;
    try {
      problem = await findProblem();
    } catch (error) {
      if (!(error instanceof ClusterError) || error.status === 403) throw error;
      problem = error.message;
    }
    if (problem === undefined) return;
    if (Date.now() > end) {
      const remedy = "See: kubectl get pods -A, and kubectl describe of the pod that is not ready.";
      throw new KubernetesError("E-CLUSTER", `${what} did not become ready: ${problem}`, { remedy });
    }
    await sleep(LOOK_INTERVAL_MS, undefined, { signal: options.signal });
  }
}
