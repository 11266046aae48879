export type VaultErrorCode =
  /** No connection, or none that lasted. */
  | "VAULT_UNREACHABLE"
  /** No answer in time. */
  | "VAULT_TIMEOUT"
  /** Who answers cannot show the certificate of the host that was asked for. */
  | "VAULT_TLS"
  /** The answer is too large, or does not fit the interface. */
  | "VAULT_ANSWER"
  /** The authority refuses a token. */
  | "TOKEN_REFUSED"
  /** 401 */
  | "VAULT_UNAUTHORIZED"
  /** 403 */
  | "VAULT_FORBIDDEN"
  /** 404 */
  | "VAULT_MISSING"
  /** 429 */
  | "VAULT_BUSY"
  /** 5xx */
  | "VAULT_FAILED"
  /** The owner of this CAS does not let it ask there. */
  | "VAULT_EXCLUDED";

/** May the same question be answered a moment later? */
const PASSING: ReadonlySet<VaultErrorCode> = new Set(["VAULT_UNREACHABLE", "VAULT_TIMEOUT", "VAULT_BUSY", "VAULT_FAILED"]);

/** A vault, or the authority that opens it, did not do what was asked. The message names hosts, codes and statuses, never a value or token. */
export class VaultError extends Error {
  readonly code: VaultErrorCode;
  readonly retryAfterSeconds: number | undefined;

  constructor(code: VaultErrorCode, message: string, retryAfterSeconds?: number) {
    super(message);
    this.name = new.target.name;
    this.code = code;
    this.retryAfterSeconds = retryAfterSeconds;
  }

  get isPassing(): boolean {
    return PASSING.has(this.code);
  }
}
