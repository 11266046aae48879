import { readdirSync, readFileSync } from "node:fs";
import { isInterrupted, libc } from "./libc.ts";

const WNOHANG = 1;

/** How a process ended: as wait(2) says. */
export interface ProcessEnd {
  readonly pid: number;
  readonly code: number | null;
  readonly signal: number | null;
}

/** Collects one ended child without waiting; undefined while it runs, or if it is no child of ours (any more). */
export function reapChild(pid: number): ProcessEnd | undefined {
  const status = Buffer.alloc(4);
  for (;;) {
    const result = libc().call.waitpid(pid, status, WNOHANG);
    if (result === pid) {
      const word = status.readInt32LE(0);
      const signal = word & 0x7f;
      return { pid, code: signal === 0 ? (word >> 8) & 0xff : null, signal: signal === 0 ? null : signal };
    }
    if (result === 0 || !isInterrupted()) return undefined;
  }
}

/**
 * Collects orphans that were handed to this process as PID 1 of its namespace, except `own` children, for which Node waits itself. Returns their
 * number. Needs `/proc` of this PID namespace.
 */
export function reapOrphans(own: ReadonlySet<number>): number {
  let reaped = 0;
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || own.has(pid) || pid === process.pid) continue;
    const status = readStatus(pid);
    if (status?.state === "Z" && status.parent === process.pid && reapChild(pid) !== undefined) reaped++;
  }
  return reaped;
}

export interface ProcessStatus {
  readonly state: string;
  readonly parent: number;
  /** Clock ticks since boot: with the PID it names a process for good, although PIDs are used again. */
  readonly startTime: string;
}

/** Fields of `/proc/PID/stat`, or undefined where there is no such process. */
export function readStatus(pid: number): ProcessStatus | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined; // it ended meanwhile
  }
  // The name stands in parentheses and may contain any of them.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] ?? "", parent: Number(fields[1]), startTime: fields[19] ?? "" };
}
