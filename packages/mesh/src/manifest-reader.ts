import type { Finding, Findings, Place } from "./diagnostic.ts";
import type { ManifestCode } from "./manifest-codes.ts";
import { describeNode, isEmptyNode, type ListNode, type ManifestNode, type MappingNode } from "./manifest-yaml.ts";
import { findNearest, orList } from "./nearest.ts";

/** A text of a manifest with its place, for findings of later steps. */
export interface PlacedText {
  readonly text: string;
  readonly at: Place;
}

export interface ReadOptions {
  /** Unknown fields are warnings (`--allow-unknown-fields`). */
  readonly allowUnknownFields?: boolean;
}

interface Required {
  readonly required?: boolean | string;
  /** Shell variable that a template most likely left empty (MF-7). */
  readonly variable?: string;
  readonly emptyCode?: ManifestCode;
}

/** The fields of one mapping: reads each by type, reports what is missing, empty, of the wrong type or unknown. */
export class FieldReader {
  readonly at: Place;
  readonly path: string;
  readonly findings: Findings;
  readonly #entries: Map<string, { keyAt: Place; value: ManifestNode }>;
  constructor(node: MappingNode, findings: Findings) {
    this.at = node.entries[0]?.keyAt ?? node.at;
    this.path = node.at.path;
    this.findings = findings;
    this.#entries = new Map(node.entries.map(({ key, keyAt, value }) => [key, { keyAt, value }]));
  }
  has(name: string): boolean {
    const entry = this.#entries.get(name);
    return entry !== undefined && !isEmptyNode(entry.value);
  }
  /** Whether the key is written, with or without a value. */
  isWritten(name: string): boolean {
    return this.#entries.has(name);
  }
  keyPlace(name: string): Place {
    return this.#entries.get(name)?.keyAt ?? this.at;
  }
  node(name: string): ManifestNode | undefined {
    return this.has(name) ? this.#entries.get(name)?.value : undefined;
  }
  /** A synonym is read under its present name, with a warning (MF-9). */
  synonym(old: string, present: string, shown = present): void {
    const entry = this.#entries.get(old);
    if (entry === undefined) return;
    this.findings.add(entry.keyAt, "W-FIELD-SYNONYM", `${old} is an old name`, { expected: shown });
    if (!this.#entries.has(present)) this.#entries.set(present, entry);
    this.#entries.delete(old);
  }
  /** Reports every field that is not `known`. `elsewhere` says where a misplaced field belongs. */
  allowOnly(known: readonly string[], options: ReadOptions, elsewhere: (key: string) => string | undefined = () => undefined): void {
    for (const [key, { keyAt }] of this.#entries) {
      if (known.includes(key) || (this.path === "" && key.startsWith("x-"))) continue;
      const belongs = elsewhere(key);
      const near = findNearest(key, known);
      this.findings.add(keyAt, "E-FIELD-UNKNOWN", belongs === undefined ? `the field ${key} is unknown` : `the field ${key} ${belongs}`, {
        expected: orList(known),
        ...(near === undefined ? {} : { hint: `did you mean ${near}?` }),
        ...(options.allowUnknownFields === true ? { severity: "warning" as const } : {}),
      });
    }
  }
  /** A required field that is absent is missing; one without a value is empty (MF-7). Returns the node that is there. */
  #present(name: string, options: Required): ManifestNode | undefined {
    const entry = this.#entries.get(name);
    if (entry !== undefined && !isEmptyNode(entry.value)) return entry.value;
    if (entry === undefined ? options.required : options.required || options.emptyCode !== undefined) {
      const shown = this.path === "" ? name : `${this.path}.${name}`;
      if (entry === undefined) {
        const finding = typeof options.required === "string" ? { expected: options.required } : { expected: `the field ${shown}` };
        this.findings.add({ ...this.at, path: this.path }, "E-FIELD-MISSING", `${shown} is missing`, finding);
      } else this.reportEmpty(name, options.emptyCode ?? "E-FIELD-EMPTY", options.variable);
    }
    return undefined;
  }
  reportEmpty(name: string, code: ManifestCode, variable?: string): void {
    const entry = this.#entries.get(name);
    const shown = this.path === "" ? name : `${this.path}.${name}`;
    const which = variable === undefined ? "a shell variable of the template" : `the shell variable ${variable}`;
    this.findings.add(entry?.value.at ?? this.at, code, `${shown} is empty`, {
      expected: "a value",
      hint: `${which} was likely empty when the template was rendered`,
    });
  }
  /** Text of a scalar, `undefined` if the field is absent. An empty text in quotes counts as empty where `refuseEmpty` is set. */
  text(name: string, options: Required & { refuseEmpty?: boolean } = {}): PlacedText | undefined {
    const node = this.#present(name, options);
    if (node === undefined) return undefined;
    const text = readText(node, this.findings);
    if (text !== undefined && text.text === "" && options.refuseEmpty === true) {
      this.reportEmpty(name, options.emptyCode ?? "E-FIELD-EMPTY", options.variable);
      return undefined;
    }
    return text;
  }
  mapping(name: string, options: Required = {}): FieldReader | undefined {
    const node = this.#present(name, options);
    return node === undefined
      ? undefined
      : readMapping(node, this.findings, typeof options.required === "string" ? options.required : undefined);
  }
  list(name: string, options: Required & { of?: string } = {}): readonly ManifestNode[] | undefined {
    const node = this.#present(name, options);
    return node === undefined ? undefined : readList(node, this.findings, options.of)?.items;
  }
  texts(name: string, options: Required & { orOne?: boolean } = {}): readonly PlacedText[] | undefined {
    const node = this.#present(name, options);
    if (node === undefined) return undefined;
    if (options.orOne === true && node.kind === "scalar") return [{ text: node.text, at: node.at }];
    const items = readList(node, this.findings, "texts")?.items;
    return items?.map((item) => readText(item, this.findings)).filter((item) => item !== undefined);
  }
  /** `true`/`false`, quoted or not, in any case (MF-6). */
  boolean(name: string): boolean | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const word = text.text.toLowerCase();
    if (word === "true" || word === "false") return word === "true";
    this.findings.add(text.at, "E-FIELD-TYPE", `${shortText(text.text)} is no boolean`, { expected: "true or false" });
    return undefined;
  }
  /** A decimal integer, quoted or not (MF-6). */
  integer(name: string, min: number, max: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = /^\d{1,15}$/.test(text.text) ? Number(text.text) : Number.NaN;
    if (value >= min && value <= max) return value;
    this.findings.add(text.at, "E-VALUE", `${shortText(text.text)} is no integer in the range`, {
      expected: `an integer from ${min} to ${max}`,
    });
    return undefined;
  }
  word<W extends string>(name: string, words: readonly W[], code: ManifestCode = "E-VALUE", options: Required = {}): W | undefined {
    const text = this.text(name, options);
    return text === undefined ? undefined : readWord(text, words, code, this.findings);
  }
}

export function readWord<W extends string>(text: PlacedText, words: readonly W[], code: ManifestCode, findings: Findings): W | undefined {
  const found = words.find((word) => word === text.text);
  if (found !== undefined) return found;
  const near = findNearest(text.text, words);
  findings.add(text.at, code, `${shortText(text.text)} is unknown`, {
    expected: orList(words),
    ...(near === undefined ? {} : { hint: `did you mean ${near}?` }),
  });
  return undefined;
}

export function readMapping(node: ManifestNode, findings: Findings, expected = "mapping"): FieldReader | undefined {
  if (node.kind === "mapping") return new FieldReader(node, findings);
  reportType(node, findings, expected === "mapping" ? "a mapping" : `a mapping (${expected})`);
  return undefined;
}

export function readList(node: ManifestNode, findings: Findings, of?: string): ListNode | undefined {
  if (node.kind === "list") return node;
  reportType(node, findings, of === undefined ? "a list" : `a list of ${of}`);
  return undefined;
}

/** Text of a scalar; no conversion of any kind (MF-5). NUL is refused. */
export function readText(node: ManifestNode, findings: Findings): PlacedText | undefined {
  if (node.kind !== "scalar") {
    reportType(node, findings, "a text");
    return undefined;
  }
  if (node.text.includes("\0")) {
    findings.add(node.at, "E-VALUE-NUL", `${node.at.path} contains a NUL character`, { expected: "text without NUL" });
    return undefined;
  }
  return { text: node.text, at: node.at };
}

export function reportType(node: ManifestNode, findings: Findings, expected: string): void {
  const finding: Finding = { expected };
  findings.add(node.at, "E-FIELD-TYPE", `${node.at.path === "" ? "the document" : node.at.path} is a ${describeNode(node)}`, finding);
}

/** A text from outside for a message: quoted, on one line, cut. */
export const shortText = (text: string): string => JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text);
