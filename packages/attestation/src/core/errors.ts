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

/** What a refused check looked at, apart from the sentence: the field in the words of its format, what it had to be, what it was. */
export interface Mismatch {
  readonly field?: string;
  readonly expected?: string;
  readonly found?: string;
}

/** The check that refused: the whole list, so that a `switch` over it can be checked by the compiler. New ones may come with new kinds. */
export type EvidenceReason = keyof typeof REMEDIES;

interface EvidenceErrorOptions extends Mismatch {
  readonly reason?: EvidenceReason;
  readonly remedy?: string;
  readonly cause?: unknown;
}

/**
 * MALFORMED: not Evidence at all. SIGNATURE, STALE: proves nothing. What a policy refuses is an Attestation Result, not an error (C-50).
 * `reason` names the failed check more finely than the code does, for example `bad-chain` or `cert-expired`. `field`, `expected` and `found` are
 * there where a value was compared; a signature that does not hold has none.
 */
export class EvidenceError extends OperationalError<"EVIDENCE_MALFORMED" | "EVIDENCE_SIGNATURE" | "EVIDENCE_STALE"> implements Mismatch {
  readonly reason: EvidenceReason;
  readonly field?: string;
  readonly expected?: string;
  readonly found?: string;
  constructor(code: "EVIDENCE_MALFORMED" | "EVIDENCE_SIGNATURE" | "EVIDENCE_STALE", message: string, options: EvidenceErrorOptions = {}) {
    const { reason = GENERAL_REASONS[code], field, expected, found, cause } = options;
    const remedy = options.remedy ?? REMEDIES[reason];
    super(code, message, { cause, ...(remedy === undefined ? {} : { remedy }) });
    this.reason = reason;
    if (field !== undefined) this.field = field;
    if (expected !== undefined) this.expected = expected;
    if (found !== undefined) this.found = found;
  }
}
