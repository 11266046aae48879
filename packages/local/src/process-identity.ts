import { readStatus } from "@vouchsafe/linux";
import { z } from "zod";

/** A process for good: PIDs are used again, a PID with its start time is not. */
export const ProcessIdentity = z.strictObject({ pid: z.int().min(1), startTime: z.string().max(32) });
export type ProcessIdentity = z.infer<typeof ProcessIdentity>;

/** Undefined where there is no such process (any more). */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  const status = readStatus(pid);
  return status === undefined ? undefined : { pid, startTime: status.startTime };
}

export function isAlive({ pid, startTime }: ProcessIdentity): boolean {
  const status = readStatus(pid);
  return status !== undefined && status.startTime === startTime && status.state !== "Z";
}

/** Sends a signal unless the process is gone; false then. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false;
  try {
    process.kill(identity.pid, signal);
    return true;
  } catch {
    return false; // it ended between the two lines, or belongs to somebody else by now
  }
}
