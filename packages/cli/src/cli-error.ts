/** A failure of the command line with a code of the closed set (manifests section 18). `isUsage`: the command was called wrongly. */
export class CliError extends Error {
  readonly code: string;
  readonly remedy: string | undefined;
  readonly isUsage: boolean;
  /** Further reasons of the same kind, each as complete as the message. */
  readonly causes: readonly string[];
  constructor(
    code: string,
    message: string,
    options: { remedy?: string; isUsage?: boolean; causes?: readonly string[]; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = "CliError";
    this.code = code;
    this.remedy = options.remedy;
    this.isUsage = options.isUsage ?? false;
    this.causes = options.causes ?? [];
  }
}
