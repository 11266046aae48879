export type PolicyErrorCode =
  | "CREATOR_NEEDED"
  | "KEY_MALFORMED"
  | "SIGNED_SESSION_MALFORMED"
  | "SIGNATURE_INVALID"
  | "SIGNER_TWICE"
  | "ENCRYPTED_SESSION_MALFORMED"
  | "ENCRYPTION_KEY_MALFORMED"
  | "ENCRYPTED_FOR_ANOTHER_CAS"
  | "DECRYPTION_FAILED"
  | "PLACEHOLDER_MALFORMED"
  | "PLACEHOLDER_UNRESOLVED"
  | "PLACEHOLDER_NOT_TEXT";

/** A failure whose cause is the input, not this program. `rule` is the clause of the language reference, when there is one. */
export class PolicyError extends Error {
  readonly code: PolicyErrorCode;
  readonly remedy: string | undefined;
  readonly rule: string | undefined;
  constructor(code: PolicyErrorCode, message: string, options: { remedy?: string; rule?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.remedy = options.remedy;
    this.rule = options.rule;
  }
}
