import type { ManifestDiagnostic } from "@vouchsafe/mesh";
import { renderDiagnostics } from "@vouchsafe/policy";
import { CliError } from "./cli-error.ts";
import type { Shell } from "./shell.ts";

export interface ReportOptions {
  readonly json: boolean;
  readonly failOnWarning: boolean;
  /** Texts of files, for the lines that diagnostics point into. */
  readonly sources: ReadonlyMap<string, string>;
}

/** Collects what was found in manifests; prints each finding once. */
export class ManifestReport {
  readonly #shell: Shell;
  readonly #options: ReportOptions;
  readonly #all: ManifestDiagnostic[] = [];
  readonly #printed = new Set<string>();
  #warnings = 0;
  constructor(shell: Shell, options: ReportOptions) {
    this.#shell = shell;
    this.#options = options;
  }
  get diagnostics(): readonly ManifestDiagnostic[] {
    return this.#all;
  }
  /** Prints new findings. Throws after errors: nothing may be built or uploaded then. */
  add(diagnostics: readonly ManifestDiagnostic[]): void {
    for (const diagnostic of diagnostics) {
      const { rule, file, line, column, message } = diagnostic;
      const key = [rule, file, line, column, message].join("\0");
      if (this.#printed.has(key)) continue;
      this.#printed.add(key);
      this.#all.push(diagnostic);
      this.#warnings += 1;
      const hidden = /(?:^|\.)secrets\..*\.value$|^\[\d+\]\.value$/.test(diagnostic.path);
      const text = renderDiagnostics([{ ...diagnostic, hidden }], {
        source: this.#options.sources.get(file),
        json: this.#options.json,
        colour: this.#shell.colour,
      });
      this.#shell.note(text.replace(/\n$/, ""));
    }
    if (diagnostics.some(({ severity }) => severity === "error")) throw new ManifestRefused();
  }
  /** A warning about something else than a manifest's text. */
  warn(code: string, message: string): void {
    this.#warnings += 1;
    const [yellow, reset] = this.#shell.colour ? ["\u001b[33m", "\u001b[0m"] : ["", ""];
    this.#shell.note(
      this.#options.json ? JSON.stringify({ severity: "warning", rule: code, message }) : `${yellow}warning[${code}]${reset}: ${message}`,
    );
  }
  /** With `--fail-on-warning` a warning stops before anything is pushed or uploaded (CL-41). */
  refuseWarnings(): void {
    if (!this.#options.failOnWarning || this.#warnings === 0) return;
    throw new CliError("E-WARNING", "there are warnings, and --fail-on-warning is given", { remedy: "See above." });
  }
}

/** The manifest was refused; what was wrong has been printed. */
export class ManifestRefused extends Error {}
