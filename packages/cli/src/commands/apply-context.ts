import type { ParsedOptions } from "../command-spec.ts";
import type { ManifestReport } from "../manifest-report.ts";
import type { Shell } from "../shell.ts";

/** What `apply` knows before it looks into the manifest. */
export interface ApplyContext {
  readonly file: string;
  readonly text: string;
  readonly options: ParsedOptions;
  readonly shell: Shell;
  readonly report: ManifestReport;
  /** Texts of files by name; what is read is added, so that diagnostics can show lines. */
  readonly sources: Map<string, string>;
  readonly mode: "production" | "debug";
  /** Count of `-v` less count of `-q`. */
  readonly level: number;
  /** Absolute path of the target directory. */
  readonly target: string;
  readonly platformVersion: string;
  readonly platformRepository: string;
}
