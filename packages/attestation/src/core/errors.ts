import { REMEDIES } from "./remedies.ts";

/** A failure whose cause lies outside this program: bad Evidence, a peer that is wrong. Anything else thrown is a bug. */
export abstract class OperationalError<Code extends string = string> extends Error {
  readonly code: Code;
  /** What the reader can do about it: one sentence in the imperative. */
  readonly remedy: string | undefined;
  constructor(code: Code, message: string, options: { remedy?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.remedy = options.remedy;
  }
}

const GENERAL_REASONS = { EVIDENCE_MALFORMED: "parse-error", EVIDENCE_SIGNATURE: "bad-signature", EVIDENCE_STALE: "stale" } as const;

/**
 * MALFORMED: not Evidence at all. SIGNATURE, STALE: proves nothing. What a policy refuses is an Attestation Result, not an error (C-50).
 * `reason` names the failed check more finely than the code does, for example `bad-chain` or `cert-expired`.
 */
export class EvidenceError extends OperationalError<"EVIDENCE_MALFORMED" | "EVIDENCE_SIGNATURE" | "EVIDENCE_STALE"> {
  readonly reason: string;
  constructor(
    code: "EVIDENCE_MALFORMED" | "EVIDENCE_SIGNATURE" | "EVIDENCE_STALE",
    message: string,
    options: { reason?: string; remedy?: string; cause?: unknown } = {},
  ) {
    const reason = options.reason ?? GENERAL_REASONS[code];
    const remedy = options.remedy ?? REMEDIES[reason];
    super(code, message, { cause: options.cause, ...(remedy === undefined ? {} : { remedy }) });
    this.reason = reason;
  }
}
