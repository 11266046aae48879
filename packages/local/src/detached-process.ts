import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { identifyProcess, isAlive, type ProcessIdentity } from "./process-identity.ts";

const POLL_MS = 50;
const LOG_TAIL_BYTES = 2_000;

/** Starts a script of this program in a process that outlives the caller. Its output goes to a file of mode 0600, begun anew. */
export function startDetached(script: string, args: readonly string[], logFile: string): ProcessIdentity | undefined {
  const log = openSync(logFile, "w", 0o600);
  try {
    const child = spawn(process.execPath, ["--disable-sigusr1", script, ...args], {
      detached: true,
      stdio: ["ignore", log, log],
      cwd: "/",
    });
    child.unref();
    return child.pid === undefined ? undefined : identifyProcess(child.pid);
  } finally {
    closeSync(log);
  }
}

/** Asks `look` until it finds something or the process is gone; undefined then, or after the deadline. */
export async function waitWhileAlive<T>(
  identity: ProcessIdentity,
  look: () => T | undefined,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
): Promise<T | undefined> {
  for (const deadline = Date.now() + timeoutMs; Date.now() < deadline; ) {
    const wasAlive = isAlive(identity);
    const found = look();
    if (found !== undefined || !wasAlive) return found;
    await sleep(POLL_MS, undefined, signal === undefined ? {} : { signal });
  }
  return look();
}

/** Waits until a process is gone; false after the deadline. */
export async function waitUntilGone(identity: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  for (const deadline = Date.now() + timeoutMs; isAlive(identity); ) {
    if (Date.now() > deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}

/** The end of a log, for an error message. */
export function readLogTail(file: string): string {
  try {
    return readFileSync(file, "utf8").slice(-LOG_TAIL_BYTES).trim();
  } catch {
    return ""; // no log: nothing was said
  }
}
