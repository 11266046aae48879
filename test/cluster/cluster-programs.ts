import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CLUSTER_STATE, ROOT, type TestCluster } from "./cluster.ts";

/** Kills one program of the test cluster as a crash would, by the process number that `up.sh` wrote down. */
export async function killProgram(name: string): Promise<void> {
  const file = join(CLUSTER_STATE, "run", name);
  const pid = Number(await readFile(file, "utf8"));
  process.kill(pid, "SIGKILL");
  for (let attempt = 0; attempt < 100 && isAlive(pid); attempt++) await sleep(50);
  await rm(file);
}

/** Starts again what is not running, and waits until the node is ready. */
export async function startPrograms({ run }: TestCluster): Promise<void> {
  await run(join(ROOT, "test/cluster/up.sh"));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false; // gone
  }
}
