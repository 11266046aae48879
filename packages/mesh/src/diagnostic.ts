import type { ManifestCode } from "./manifest-codes.ts";

/** A finding about a manifest, in the form of the policy language's diagnostics (CL-35, SL-2). Line and column count from 1, columns in code points. */
export interface ManifestDiagnostic {
  readonly severity: "error" | "warning";
  readonly rule: ManifestCode;
  readonly file: string;
  /** Dotted, with list indices: `build.copy[0]`. Empty for the document. */
  readonly path: string;
  readonly line: number;
  readonly column: number;
  readonly endLine: number;
  readonly endColumn: number;
  /** What was found. */
  readonly message: string;
  /** What is allowed; empty where the message says all. */
  readonly expected: string;
  /** The remedy; empty where there is none. */
  readonly hint: string;
}

/** Text of a file with the positions of its lines. */
export class SourceText {
  readonly file: string;
  readonly text: string;
  readonly #lineStarts: readonly number[];
  constructor(file: string, text: string) {
    this.file = file;
    this.text = text;
    const starts = [0];
    for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
    this.#lineStarts = starts;
  }
  /** Line and column of a UTF-16 offset. */
  position(offset: number): { line: number; column: number } {
    let low = 0;
    let high = this.#lineStarts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#lineStarts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    const start = this.#lineStarts[low] ?? 0;
    return { line: low + 1, column: [...this.text.slice(start, offset)].length + 1 };
  }
}

/** Where something stands in a source. `end` is exclusive. */
export interface Place {
  readonly source: SourceText;
  readonly start: number;
  readonly end: number;
  readonly path: string;
}

export interface Finding {
  readonly expected?: string;
  readonly hint?: string;
  readonly severity?: "error" | "warning";
}

/** A diagnostic for a place. Codes that start with `W-` are warnings. */
export function diagnosticAt(place: Place, rule: ManifestCode, message: string, finding: Finding = {}): ManifestDiagnostic {
  const from = place.source.position(place.start);
  const to = place.source.position(Math.max(place.start, place.end));
  return {
    severity: finding.severity ?? (rule.startsWith("W-") ? "warning" : "error"),
    rule,
    file: place.source.file,
    path: place.path,
    line: from.line,
    column: from.column,
    endLine: to.line,
    endColumn: to.column,
    message,
    expected: finding.expected ?? "",
    hint: finding.hint ?? "",
  };
}

/** Collects diagnostics; at most 50 errors are kept (CL-35), and the same finding at the same place once. */
export class Findings {
  readonly #list: ManifestDiagnostic[] = [];
  readonly #seen = new Set<string>();
  add(place: Place, rule: ManifestCode, message: string, finding: Finding = {}): void {
    this.push(diagnosticAt(place, rule, message, finding));
  }
  push(diagnostic: ManifestDiagnostic): void {
    const key = [diagnostic.rule, diagnostic.file, diagnostic.line, diagnostic.column, diagnostic.message].join("\0");
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    this.#list.push(diagnostic);
  }
  get hasErrors(): boolean {
    return this.#list.some(({ severity }) => severity === "error");
  }
  /** In the order of files and lines; warnings are kept, errors cut at 50. */
  list(): ManifestDiagnostic[] {
    const files = [...new Set(this.#list.map(({ file }) => file))];
    const sorted = this.#list.toSorted((a, b) => files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line || a.column - b.column);
    let errors = 0;
    return sorted.filter(({ severity }) => severity === "warning" || ++errors <= 50);
  }
}
