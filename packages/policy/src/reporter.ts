import type { Diagnostic } from "./diagnostic.ts";
import type { SourceText } from "./source-text.ts";

/** Part of a source text, offsets in UTF-16 units. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

export interface Finding {
  readonly severity?: "error" | "warning";
  readonly rule: string;
  readonly range: Range;
  readonly path: string;
  readonly message: string;
  readonly expected?: string | undefined;
  readonly hint?: string | undefined;
}

export const MAX_DIAGNOSTICS = 50;
/** Beyond this nothing more is recorded: enough to pick the first fifty in source order from. */
const MAX_FINDINGS = 2000;

/** How far above a line its key is looked for. */
const MAX_LINES_ABOVE = 200;

/** Words next to which a source line may hold a secret, for errors found before the structure is known. */
const SENSITIVE_KEY =
  /\b(value|fspf_key|service_access_token|one_time_password_shared_secret|application_secret|private_key|content\w*|token)\b|PRIVATE KEY/;

/** Collects what is wrong with one document; hides source lines that hold secrets (SL-5). */
export class Reporter {
  readonly source: SourceText;
  readonly #findings: Finding[] = [];
  readonly #secretRanges: Range[] = [];
  #errors = 0;

  constructor(source: SourceText) {
    this.source = source;
  }

  get errorCount(): number {
    return this.#errors;
  }

  /** More has been found than will ever be shown: exact places need not be worked out any more. */
  get isFull(): boolean {
    return this.#findings.length > 4 * MAX_DIAGNOSTICS;
  }

  report(finding: Finding): void {
    if (finding.severity !== "warning") this.#errors += 1;
    if (this.#findings.length < MAX_FINDINGS) this.#findings.push(finding);
  }

  /** No diagnostic will show the lines of this range. */
  hide(range: Range): void {
    this.#secretRanges.push(range);
  }

  /**
   * In source order, at most fifty (SL-4). `structureKnown` is false when parsing broke off: then lines that look secret are hidden too, and with
   * `words` (the keys of the language) every line whose key is none of them, for a damaged key may be that of a secret.
   */
  diagnostics(structureKnown: boolean, words?: ReadonlySet<string>): Diagnostic[] {
    if (this.#findings.length === 0) return [];
    const hiddenLines = this.#secretRanges.map(
      ({ start, end }) => [this.source.position(start).line, this.source.position(Math.max(start, end - 1)).line] as const,
    );
    const isHidden = ({ path, line }: { readonly path: string; readonly line: number }) =>
      hiddenLines.some(([first, last]) => first <= line && line <= last) ||
      // Under `secrets` a misspelt key may hold the value.
      (!structureKnown && (path.startsWith("secrets") || this.#looksSecret(line, words)));
    return this.#findings
      .toSorted((a, b) => a.range.start - b.range.start)
      .slice(0, MAX_DIAGNOSTICS)
      .map((finding) => {
        const from = this.source.position(finding.range.start);
        const to = this.source.position(Math.max(finding.range.end, finding.range.start));
        return {
          severity: finding.severity ?? "error",
          rule: finding.rule,
          file: this.source.file,
          path: finding.path,
          line: from.line,
          column: from.column,
          endLine: to.line,
          endColumn: to.column,
          message: finding.message,
          expected: finding.expected ?? "",
          hint: finding.hint ?? "",
          hidden: isHidden({ path: finding.path, line: from.line }),
        };
      });
  }

  /** The line, or the nearest line above that opens a key, names something that holds secrets. */
  #looksSecret(line: number, words: ReadonlySet<string> | undefined): boolean {
    for (let at = line; at >= 1; at -= 1) {
      if (line - at > MAX_LINES_ABOVE) return true;
      const text = this.source.line(at);
      if (SENSITIVE_KEY.test(text)) return true;
      const key = /^\s*(?:- )*[[{]?\s*(["']?)([\w@.-]+)\1\s*:/.exec(text)?.[2];
      if (key !== undefined) return words?.has(key) === false;
      // A key with a wrong escape or a lost quote: whose value stands there is not known.
      if (at === line && /["'\\]/.test(text)) return true;
    }
    return false;
  }
}
