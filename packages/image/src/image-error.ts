/** What may go wrong while an image is planned, built, read or moved. The codes are those of the manifest rules (MF section 18). */
export type ImageErrorCode =
  | "E-BINARY"
  | "E-BUILD-FIELD"
  | "E-BUILD-KIND"
  | "E-COPY-MISSING"
  | "E-ENGINE"
  | "E-FILE-MISSING"
  | "E-IMAGE-BASE"
  | "E-IMAGE-LAYER"
  | "E-IMAGE-PULL"
  | "E-IMAGE-PUSH"
  | "E-IMAGE-REF"
  | "E-IMAGE-SIGNATURE"
  | "E-META-MISSING"
  | "E-META-SIGNATURE"
  | "E-PATH-OUTSIDE"
  | "E-REQUIREMENTS"
  | "E-RUN"
  | "E-SIGN-KEY";

/** A failure whose cause lies outside this program: an input, a registry, the machine. `field` names the manifest's field at fault, where there is one. */
export class ImageError extends Error {
  readonly code: ImageErrorCode;
  readonly remedy: string | undefined;
  readonly field: string | undefined;
  constructor(code: ImageErrorCode, message: string, options: { remedy?: string; field?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = "ImageError";
    this.code = code;
    this.remedy = options.remedy;
    this.field = options.field;
  }
}
