import { OperationalError } from "../core/errors.ts";

/** LOG_MALFORMED: not a proof, note or checkpoint at all. LOG_PROOF: the hashes do not lead to the root. LOG_SIGNATURE: no known key signed it, or one that is known did not. */
export class LogError extends OperationalError<"LOG_MALFORMED" | "LOG_PROOF" | "LOG_SIGNATURE"> {}
