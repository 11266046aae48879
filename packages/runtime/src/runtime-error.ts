export type RuntimeErrorCode =
  /** The container's environment is not one a service can start in. */
  | "R-SETTINGS"
  /** No evidence could be had. */
  | "R-EVIDENCE"
  /** The node agent has not answered yet: many services start at once. */
  | "R-AGENT-BUSY"
  /** The image is not what its own description says. */
  | "R-IMAGE"
  /** The private view of the file system could not be made. */
  | "R-VIEW"
  /** The program of the policy cannot be started. */
  | "R-PROGRAM";

/** A start that must not go on. `remedy`: what the operator can do. */
export class RuntimeError extends Error {
  readonly code: RuntimeErrorCode;
  readonly remedy: string | undefined;

  constructor(code: RuntimeErrorCode, message: string, options: { remedy?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = "RuntimeError";
    this.code = code;
    this.remedy = options.remedy;
  }
}
