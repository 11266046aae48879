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
    super(code, message, options);
    this.reason =
      options.reason ?? { EVIDENCE_MALFORMED: "parse-error", EVIDENCE_SIGNATURE: "bad-signature", EVIDENCE_STALE: "stale" }[code];
  }
}
