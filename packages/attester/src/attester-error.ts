/** The platform has the interface, but gives no evidence. `remedy`: what the operator can do. */
export class AttesterError extends Error {
  readonly code = "NO_EVIDENCE";
  readonly remedy: string | undefined;

  constructor(message: string, options: { remedy?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = "AttesterError";
    this.remedy = options.remedy;
  }
}
