import type { Findings, Place } from "./diagnostic.ts";
import type { PlacedText } from "./manifest-reader.ts";
import { findNearest } from "./nearest.ts";
import { splitPlaceholders } from "./placeholder.ts";
import type { PlainValue } from "./plain-value.ts";

/** What a name stands for: a text that may hold placeholders itself, a final text, or a whole structure of the platform. */
export type ScopeEntry =
  | { readonly kind: "variable"; readonly value: PlacedText }
  | { readonly kind: "constant"; readonly value: string }
  | { readonly kind: "structure"; readonly value: PlainValue };

const MAX_DEPTH = 10;

/** Names visible to one service, with values; remembers which were used. */
export class VariableScope {
  readonly #entries: ReadonlyMap<string, ScopeEntry>;
  /** Names of the caller's variables that were looked up, for `W-VAR-UNUSED` and `W-VAR-UNDECLARED`. */
  readonly used = new Map<string, Place>();
  /** For messages: whose variables these are. */
  readonly owner: string;
  constructor(owner: string, entries: ReadonlyMap<string, ScopeEntry>) {
    this.owner = owner;
    this.#entries = entries;
  }
  has(name: string): boolean {
    return this.#entries.has(name);
  }
  get names(): IterableIterator<string> {
    return this.#entries.keys();
  }
  entry(name: string): ScopeEntry | undefined {
    return this.#entries.get(name);
  }
  /** The value of a variable, rendered. Undefined if there is none; findings are reported at `at`. */
  value(name: string, at: Place, findings: Findings): string | undefined {
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    return this.#resolve(name, entry, at, findings, []);
  }
  /** Replaces every placeholder of a text. Strict: a name without a value is `E-VAR-UNDEFINED` (MF-19). */
  render(text: PlacedText, findings: Findings): string | undefined {
    return this.#render(text, text.at, findings, []);
  }
  #render(text: PlacedText, at: Place, findings: Findings, open: readonly string[]): string | undefined {
    let rendered: string | undefined = "";
    for (const part of splitPlaceholders(text, findings)) {
      const value = typeof part === "string" ? part : this.#lookup(part.name, at, findings, open);
      rendered = value === undefined || rendered === undefined ? undefined : rendered + value;
    }
    if (rendered?.includes("\0")) {
      findings.add(at, "E-VALUE-NUL", `${at.path} contains a NUL character`, { expected: "text without NUL" });
      return undefined;
    }
    return rendered;
  }
  #lookup(name: string, at: Place, findings: Findings, open: readonly string[]): string | undefined {
    const entry = this.#entries.get(name);
    if (entry === undefined) {
      const near = findNearest(name, this.#entries.keys());
      findings.add(at, "E-VAR-UNDEFINED", `the variable ${name} of ${this.owner} has no value`, {
        expected: `a value for ${name} in the mesh's env, in section global or ${this.owner}`,
        ...(near === undefined ? {} : { hint: `did you mean ${near}?` }),
      });
      return undefined;
    }
    return this.#resolve(name, entry, at, findings, open);
  }
  #resolve(name: string, entry: ScopeEntry, at: Place, findings: Findings, open: readonly string[]): string | undefined {
    if (!this.used.has(name)) this.used.set(name, at);
    if (entry.kind === "constant") return entry.value;
    if (entry.kind === "structure") {
      findings.add(at, "E-TPL-SYNTAX", `{{${name}}} is a list or mapping`, { expected: "the placeholder as a whole value" });
      return undefined;
    }
    if (open.includes(name) || open.length >= MAX_DEPTH) {
      const cycle = [...open.slice(Math.max(0, open.indexOf(name))), name].join(" → ");
      findings.add(entry.value.at, "E-VAR-CYCLE", `variables refer to each other: ${cycle}`, {
        expected: "values without a cycle, at most 10 deep",
      });
      return undefined;
    }
    return this.#render(entry.value, entry.value.at, findings, [...open, name]);
  }
}
