import type { ChildProcess } from "node:child_process";
import { constants } from "node:os";
import { reapOrphans } from "@vouchsafe/linux";

/** Signals that a container's first process passes to the program. */
const FORWARDED: readonly NodeJS.Signals[] = [
  "SIGTERM",
  "SIGINT",
  "SIGHUP",
  "SIGQUIT",
  "SIGUSR1",
  "SIGUSR2",
  "SIGWINCH",
  "SIGCONT",
  "SIGTSTP",
];

/**
 * Before the program runs, a signal to stop ends the start; afterwards all signals are the program's. The first SIGTERM reaches it after `drainMs`:
 * when a pod is to end, connections still arrive until every node has heard of it, and a program that is gone would refuse them.
 */
export function forwardSignals(program: ChildProcess, drainMs: number): { programRuns: () => void } {
  let isRunning = false;
  let isDraining = false;
  for (const signal of FORWARDED) {
    process.on(signal, () => {
      if (isRunning && signal === "SIGTERM" && drainMs > 0 && !isDraining) {
        isDraining = true;
        setTimeout(() => program.kill(signal), drainMs).unref();
      } else if (isRunning) program.kill(signal);
      else if (signal === "SIGTERM" || signal === "SIGINT" || signal === "SIGQUIT") {
        program.kill("SIGKILL");
        process.exit(128 + constants.signals[signal]);
      }
    });
  }
  const own = new Set(program.pid === undefined ? [] : [program.pid]);
  process.on("SIGCHLD", () => reapOrphans(own));
  return {
    programRuns: () => {
      isRunning = true;
    },
  };
}
