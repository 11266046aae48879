import { randomBytes } from "node:crypto";
import { link, readFile, rm, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { ImageError } from "./image-error.ts";

const POLL_MS = 20;

/**
 * Runs an action while this process alone holds the lock file. Others wait; a lock whose process is gone is taken over. The directory must exist.
 * Throws E-IMAGE-BASE when the holder takes longer than `waitMs`.
 */
export async function withFileLock<T>(lock: string, waitMs: number, action: () => Promise<T>): Promise<T> {
  for (const deadline = Date.now() + waitMs; !(await tryLock(lock)); await sleep(POLL_MS)) {
    const holder = await readHolder(lock);
    if (holder !== undefined && !isAlive(holder)) await removeDeadLock(lock);
    else if (Date.now() > deadline) {
      throw new ImageError("E-IMAGE-BASE", `${lock} is held by process ${holder ?? "unknown"}`, {
        remedy: `Wait for the other build, or remove ${lock}.`,
      });
    }
  }
  try {
    return await action();
  } finally {
    await rm(lock, { force: true });
  }
}

/** The lock appears with its holder's number in it, in one step: a crash leaves none without. */
async function tryLock(lock: string): Promise<boolean> {
  const own = `${lock}-${randomBytes(8).toString("hex")}`;
  await writeFile(own, String(process.pid));
  try {
    await link(own, lock);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  } finally {
    await rm(own, { force: true });
  }
}

async function readHolder(lock: string): Promise<number | undefined> {
  const holder = Number(await readFile(lock, "utf8").catch(() => "")); // gone meanwhile
  return holder > 0 ? holder : undefined;
}

/** Of several that find the same dead lock, one at a time looks again and removes it: nobody removes the lock that another has just taken. */
async function removeDeadLock(lock: string): Promise<void> {
  const removal = `${lock}-removal`;
  if (!(await tryLock(removal))) return;
  try {
    const holder = await readHolder(lock);
    if (holder !== undefined && !isAlive(holder)) await rm(lock, { force: true });
  } finally {
    await rm(removal, { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
