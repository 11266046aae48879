import { RandomnessError } from "@vouchsafe/secrets";
import type { Log } from "../log-line.ts";

/**
 * Stops the process when `error` says that the random generator is broken (hazard D7): no key, certificate or nonce made from then on would be
 * worth anything, and a restart tests the generator before it serves. Says whether it did.
 */
export function stopOnBrokenRandomness(error: unknown, log: Log): boolean {
  if (!(error instanceof RandomnessError)) return false;
  log.error(`${error.message}: the CAS stops`);
  process.exitCode = 1;
  process.kill(process.pid, "SIGTERM");
  return true;
}
