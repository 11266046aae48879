import { readFileSync } from "node:fs";
import { AttesterError } from "./attester-error.ts";

/** Where a platform leaves what it measured of the program (`encodeWorkload`). */
export const WORKLOAD_FILE = "/run/vouchsafe/workload";
const WORKLOAD_MAX_BYTES = 8192;

/**
 * What the platform left; a platform that measures the whole program leaves nothing. A lie here is found out: its hash was not measured. Throws
 * AttesterError.
 */
export function readWorkload(file = WORKLOAD_FILE): Uint8Array | undefined {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch {
    return undefined;
  }
  if (bytes.length <= WORKLOAD_MAX_BYTES) return bytes;
  throw new AttesterError(`${file} has ${bytes.length} bytes, at most ${WORKLOAD_MAX_BYTES} describe a workload`);
}
