import { open, readFile, rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { ImageError } from "./image-error.ts";

/**
 * Runs an action while this process alone holds the lock file. Others wait; a lock whose process is gone is taken over. The directory must exist.
 * Throws E-IMAGE-BASE when the holder takes longer than `waitMs`.
 */
export async function withFileLock<T>(lock: string, waitMs: number, action: () => Promise<T>): Promise<T> {
  for (const deadline = Date.now() + waitMs; ; ) {
    try {
      const file = await open(lock, "wx");
      await file.writeFile(String(process.pid));
      await file.close();
      break;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
      const holder = Number(await readFile(lock, "utf8").catch(() => ""));
      if (holder > 0 && !isAlive(holder)) await rm(lock, { force: true });
      else if (Date.now() > deadline) {
        throw new ImageError("E-IMAGE-BASE", `${lock} is held by process ${holder || "unknown"}`, {
          remedy: `Wait for the other build, or remove ${lock}.`,
        });
      } else await sleep(20);
    }
  }
  try {
    return await action();
  } finally {
    await rm(lock, { force: true });
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
