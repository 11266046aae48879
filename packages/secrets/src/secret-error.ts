export type SecretErrorCode =
  | "KEY_MISMATCH"
  | "ISSUER_MISMATCH"
  | "FORMAT_UNKNOWN"
  | "PRIVATE_KEY_ABSENT"
  | "SECRET_NOT_STORED"
  | "TOKEN_KEY";

/** A secret cannot be made or delivered as asked. Names secrets and sessions, never values. */
export class SecretError extends Error {
  readonly code: SecretErrorCode;
  readonly rule: string;
  readonly secret: string;
  readonly remedy: string | undefined;
  constructor(code: SecretErrorCode, secret: string, message: string, options: { rule: string; remedy?: string; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.secret = secret;
    this.rule = options.rule;
    this.remedy = options.remedy;
  }
}
