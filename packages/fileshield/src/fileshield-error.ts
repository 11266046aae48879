/**
 * FSPF_MALFORMED: not a protection file, or one of a newer format. FSPF_KEY: made with another key. FSPF_TAG: its state is not the expected one
 * (changed, or an older copy). FSPF_FILE: a protected file is absent, changed, truncated or unlisted. FSPF_ENTRY: a tree that cannot be protected.
 */
export type FileshieldErrorCode = "FSPF_MALFORMED" | "FSPF_KEY" | "FSPF_TAG" | "FSPF_FILE" | "FSPF_ENTRY";

/** A failure whose cause lies outside this program. Holds no key and no content. */
export class FileshieldError extends Error {
  readonly code: FileshieldErrorCode;
  readonly remedy: string | undefined;
  constructor(code: FileshieldErrorCode, message: string, options: { remedy?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = "FileshieldError";
    this.code = code;
    this.remedy = options.remedy;
  }
}
