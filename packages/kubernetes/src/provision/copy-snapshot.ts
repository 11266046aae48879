import { createWriteStream, existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Cluster } from "../cluster/cluster.ts";
import { readFromPod, runInPod } from "../cluster/pod-exec.ts";
import { KubernetesError } from "../kubernetes-error.ts";
import { type CasName, findCas } from "./inspect-cas.ts";
import { completeSnapshots, readSnapshot, SNAPSHOT_FILES } from "./snapshot-files.ts";

/**
 * Copies the last snapshot of a CAS into a new directory below `target` (C-77), and returns that directory; one that is there already is not copied
 * again. An interrupted copy leaves a directory whose name ends in `.part`. Throws E-SNAPSHOT, E-CLUSTER.
 */
export async function copySnapshot(cluster: Cluster, cas: CasName, target: string, signal: AbortSignal): Promise<string> {
  const resource = await findCas(cluster, cas);
  const { enabled, targetDirectory } = resource?.spec.databaseSnapshots ?? { enabled: false, targetDirectory: "" };
  if (!enabled) {
    throw new KubernetesError("E-SNAPSHOT", `the CAS ${cas.name} in ${cas.namespace} makes no snapshots`, {
      remedy: `kubectl patch cas ${cas.name} -n ${cas.namespace} --type=merge -p '{"spec":{"databaseSnapshots":{"enabled":true}}}'`,
    });
  }
  const where = { namespace: cas.namespace, pod: `${cas.name}-0`, container: "cas" };
  const listed = await readFromPod(cluster, where, ["ls", "-1", targetDirectory], signal);
  const newest = completeSnapshots(listed.split("\n")).at(-1);
  if (newest === undefined) {
    throw new KubernetesError("E-SNAPSHOT", `the CAS ${cas.name} in ${cas.namespace} has made no snapshot yet`, {
      remedy: "Snapshots come at each interval after a change: try again later.",
    });
  }
  const directory = join(target, newest);
  if (existsSync(directory)) return directory;
  const part = `${directory}.part`;
  await rm(part, { recursive: true, force: true });
  await mkdir(part, { recursive: true, mode: 0o700 });
  for (const name of SNAPSHOT_FILES) {
    const output = createWriteStream(join(part, name), { mode: 0o600, flush: true });
    await runInPod(cluster, where, { command: ["cat", `${targetDirectory}/${newest}/${name}`], output, signal });
  }
  await readSnapshot(part);
  await rename(part, directory);
  return directory;
}
