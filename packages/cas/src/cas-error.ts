import type { Diagnostic } from "@vouchsafe/policy";
import type { ProblemCode } from "@vouchsafe/protocol";

export type CasErrorCode =
  /** Another CAS works on this database. */
  | "STORE_LOCKED"
  /** The database says something that this CAS has not written: changed, removed or older rows. */
  | "STORE_TAMPERED"
  /** The database cannot take a change: disk full, read-only, connection lost, another writer. */
  | "STORE_FAILED"
  /** The disk failed in the middle of a change: what the database really has is known when it is read anew. */
  | "STORE_BROKEN"
  /** Database without key file or the reverse, or a key file of another database. */
  | "KEY_STORE"
  /** A share of a recovery key is not for this holder, or damaged. */
  | "RECOVERY"
  /** An option or a configuration file is wrong. */
  | "CONFIGURATION"
  /** A port is taken. */
  | "LISTEN";

/** A failure outside this program that stops the CAS or one operation. Anything else thrown is a bug. */
export class CasError extends Error {
  readonly code: CasErrorCode;
  /** What the reader can do about it: one sentence in the imperative. */
  readonly remedy: string | undefined;

  constructor(code: CasErrorCode, message: string, options: { remedy?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.remedy = options.remedy;
  }
}

export interface ApiErrorDetails {
  readonly diagnostics?: readonly Diagnostic[];
  /** From general to specific; the message is put in front. */
  readonly causes?: readonly string[];
  readonly retryAfterSeconds?: number;
}

/** What a client of the API did wrong or may not do: becomes a problem document (cas.md §7.1). */
export class ApiError extends Error {
  readonly code: ProblemCode;
  readonly details: ApiErrorDetails;

  constructor(code: ProblemCode, message: string, details: ApiErrorDetails = {}) {
    super(message);
    this.name = new.target.name;
    this.code = code;
    this.details = details;
  }
}
