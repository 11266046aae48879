export type LocalErrorCode =
  /** The kernel or the machine's configuration does not let us make namespaces. */
  | "L-NAMESPACE"
  /** A program of the system is missing. */
  | "L-TOOL"
  /** The application's record or an image of it cannot be used. */
  | "L-APPLICATION"
  /** The CAS cannot be started, reached or used. */
  | "L-CAS"
  /** The application did not become ready. */
  | "L-START"
  /** No such application or service. */
  | "L-UNKNOWN";

/** A failure whose cause lies outside this program. `remedy`: what the reader can do, in the imperative. */
export class LocalError extends Error {
  readonly code: LocalErrorCode;
  readonly remedy: string | undefined;
  constructor(code: LocalErrorCode, message: string, options: { remedy?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = "LocalError";
    this.code = code;
    this.remedy = options.remedy;
  }
}
