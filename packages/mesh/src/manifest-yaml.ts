import { type Alias, isAlias, isMap, isScalar, isSeq, type Node, type Pair, parseAllDocuments, type Scalar, type YAMLError } from "yaml";
import { type Finding, type Findings, type Place, SourceText } from "./diagnostic.ts";
import type { ManifestCode } from "./manifest-codes.ts";

/** YAML as manifests use it: scalars keep their text (MF-5), every node knows where it stands, nothing is converted. */
export type ManifestNode = ScalarNode | ListNode | MappingNode;
export interface ScalarNode {
  readonly kind: "scalar";
  /** Text of the scalar, whatever YAML type it would resolve to. */
  readonly text: string;
  readonly style: "plain" | "quoted" | "block";
  readonly at: Place;
}
export interface ListNode {
  readonly kind: "list";
  readonly items: readonly ManifestNode[];
  readonly at: Place;
}
export interface MappingNode {
  readonly kind: "mapping";
  readonly entries: readonly MappingEntry[];
  readonly at: Place;
}
export interface MappingEntry {
  readonly key: string;
  readonly keyAt: Place;
  readonly value: ManifestNode;
}

/** Limits before and after the expansion of aliases (MF-2). */
const MAX_BYTES = 1024 * 1024;
const MAX_DEPTH = 64;
const MAX_NODES = 100_000;
const CORE_TAGS = /^tag:yaml\.org,2002:(?:str|int|float|bool|null|map|seq)$/;

// Placeholders are set aside before YAML sees them (MF-17): their braces become noncharacters of the same length, so that positions stay.
const OPEN = "\u{FDD0}\u{FDD1}";
const CLOSE = "\u{FDD2}\u{FDD3}";
const setAside = (text: string): string => text.replace(/\{\{([^{}\n]*)\}\}/g, `${OPEN}$1${CLOSE}`);
const putBack = (text: string): string => text.replaceAll(OPEN, "{{").replaceAll(CLOSE, "}}");

/** Decodes UTF-8; a byte order mark is skipped (MF-1). */
export function decodeManifest(bytes: Uint8Array, file: string, findings: Findings): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    const offset = invalidUtf8Offset(bytes); // the decoder's error does not say where
    findings.add(wholeFile(new SourceText(file, "")), "E-YAML-ENCODING", `the file is not UTF-8: bad byte at offset ${offset}`, {
      expected: "UTF-8 text",
    });
    return undefined;
  }
}

/** Reads one YAML document. `top` says what must stand at the top. Undefined after an error. */
export function parseManifestYaml(
  text: string,
  file: string,
  findings: Findings,
  top: "mapping" | "list" | "any" = "mapping",
): ManifestNode | undefined {
  const source = new SourceText(file, text.startsWith("\u{FEFF}") ? text.slice(1) : text);
  const add = (start: number, end: number, rule: ManifestCode, message: string, finding: Finding = {}) =>
    findings.add({ source, start, end, path: "" }, rule, message, finding);
  if (Buffer.byteLength(source.text) > MAX_BYTES) {
    add(0, 0, "E-YAML-SIZE", `the file has more than ${MAX_BYTES} bytes`, { expected: `at most ${MAX_BYTES} bytes` });
    return undefined;
  }
  const reserved = source.text.search(/[\u{FDD0}-\u{FDD3}]/u);
  if (reserved !== -1) {
    add(reserved, reserved + 1, "E-YAML-SYNTAX", "the character is no Unicode character", { expected: "text" });
    return undefined;
  }
  const deep = tooDeep(source.text);
  if (deep !== undefined) {
    add(deep, deep + 1, "E-YAML-SIZE", `nesting is deeper than ${MAX_DEPTH}`, { expected: `a nesting depth of at most ${MAX_DEPTH}` });
    return undefined;
  }
  const documents = parseAllDocuments(setAside(source.text), {
    version: "1.2",
    schema: "failsafe",
    uniqueKeys: false,
    merge: false,
    logLevel: "silent",
  });
  const [document, second] = Array.isArray(documents) ? documents : [];
  if (document === undefined || (document.contents === null && document.errors.length === 0) || isEmptyScalar(document.contents)) {
    add(0, 0, "E-YAML-EMPTY", `${file} is empty`, { expected: `a ${top === "list" ? "list" : "mapping"}` });
    return undefined;
  }
  if (second !== undefined) {
    add(second.range[0], second.range[0] + 3, "E-YAML-MULTI", "the file has several documents", { expected: "one document" });
    return undefined;
  }
  if (document.errors.length > 0) {
    for (const error of document.errors.slice(0, 5))
      add(error.pos[0], error.pos[1], "E-YAML-SYNTAX", syntaxMessage(source.text, error), syntaxHint(source.text, error));
    return undefined;
  }
  const converter = new Converter(source, findings, (alias) => alias.resolve(document));
  const node = document.contents === null ? undefined : converter.convert(document.contents as Node, "", 0); // parse results are nodes
  if (node === undefined || converter.failed) return undefined;
  if (top !== "any" && node.kind !== top) {
    findings.add(node.at, "E-YAML-TOP", `the top of the file is a ${describeNode(node)}`, { expected: `a ${top}` });
    return undefined;
  }
  return node;
}

class Converter {
  failed = false;
  #nodes = 0;
  readonly #source: SourceText;
  readonly #findings: Findings;
  readonly #resolve: (alias: Alias) => Node | undefined;
  readonly #open = new Set<Node>();
  constructor(source: SourceText, findings: Findings, resolve: (alias: Alias) => Node | undefined) {
    this.#source = source;
    this.#findings = findings;
    this.#resolve = resolve;
  }
  convert(node: Node | null, path: string, depth: number, at?: Place): ManifestNode | undefined {
    if (this.failed) return undefined;
    const place = at ?? this.#place(node, path);
    if (++this.#nodes > MAX_NODES || depth > MAX_DEPTH) {
      return this.#fail(
        place,
        "E-YAML-SIZE",
        "the document is too large after its aliases are expanded",
        `at most ${MAX_NODES} nodes, ${MAX_DEPTH} deep`,
      );
    }
    if (node !== null && !isAlias(node) && node.tag !== undefined && !CORE_TAGS.test(node.tag)) {
      return this.#fail(
        place,
        "E-YAML-TAG",
        `the tag ${node.tag.replace(/^tag:yaml\.org,2002:/, "!!")} is not allowed`,
        "a value without a tag",
      );
    }
    if (isAlias(node)) {
      const target = this.#resolve(node);
      if (target === undefined)
        return this.#fail(place, "E-YAML-SYNTAX", `the alias *${node.source} has no anchor`, "an anchor that stands before the alias");
      if (this.#open.has(target))
        return this.#fail(place, "E-YAML-SIZE", `the alias *${node.source} contains itself`, "aliases without cycles");
      return this.convert(target, path, depth, place);
    }
    if (node === null) return { kind: "scalar", text: "", style: "plain", at: place };
    this.#open.add(node);
    try {
      if (isScalar(node)) return { kind: "scalar", text: putBack(scalarText(node)), style: scalarStyle(node), at: place };
      if (isSeq(node)) {
        const items = node.items.map((item, index) => this.convert(item as Node | null, `${path}[${index}]`, depth + 1)); // parse results are nodes
        return { kind: "list", items: items.filter((item) => item !== undefined), at: place };
      }
      if (isMap(node)) return this.#mapping(node.items, place, path, depth);
      return this.#fail(place, "E-YAML-SYNTAX", "this is no value", "a scalar, list or mapping");
    } finally {
      this.#open.delete(node);
    }
  }
  #mapping(pairs: readonly Pair[], at: Place, path: string, depth: number): MappingNode | undefined {
    const entries: MappingEntry[] = [];
    const seen = new Map<string, Place>();
    for (const pair of pairs) {
      const keyNode = pair.key as Node | null; // parse results are nodes
      const keyPlace = this.#place(keyNode, path);
      if (!isScalar(keyNode)) {
        this.#fail(keyPlace, "E-YAML-SYNTAX", "a key is no text", "a text before the colon");
        return undefined;
      }
      const key = putBack(scalarText(keyNode));
      const keyAt = { ...keyPlace, path: path === "" ? key : `${path}.${key}` };
      const first = seen.get(key);
      if (key === "<<") {
        this.#fail(keyAt, "E-YAML-MERGE", "the merge key << is not supported", "the keys themselves, or an alias of the whole mapping");
        return undefined;
      }
      if (first !== undefined) {
        const lines = [first, keyAt].map(({ source, start }) => source.position(start).line);
        this.#findings.add(keyAt, "E-YAML-DUPLICATE", `${key} occurs twice, in lines ${lines[0]} and ${lines[1]}`, {
          expected: "each key once",
        });
        this.failed = true;
        return undefined;
      }
      seen.set(key, keyAt);
      const value = this.convert(pair.value as Node | null, keyAt.path, depth + 1, pair.value === null ? keyAt : undefined);
      if (value === undefined) return undefined;
      entries.push({ key, keyAt, value });
    }
    return { kind: "mapping", entries, at };
  }
  #place(node: Node | null, path: string): Place {
    const range = node?.range ?? [0, 0, 0];
    return { source: this.#source, start: range[0], end: range[1], path };
  }
  #fail(at: Place, rule: ManifestCode, message: string, expected: string): undefined {
    this.#findings.add(at, rule, message, { expected });
    this.failed = true;
    return undefined;
  }
}

/** Whether a value is absent: nothing after the colon, or YAML's null (MF-7). */
export function isEmptyNode(node: ManifestNode): boolean {
  return node.kind === "scalar" && node.style === "plain" && /^(?:|~|null|Null|NULL)$/.test(node.text);
}

export function describeNode(node: ManifestNode): string {
  if (node.kind !== "scalar") return node.kind;
  return isEmptyNode(node) ? "empty value" : "text";
}

export const wholeFile = (source: SourceText): Place => ({ source, start: 0, end: 0, path: "" });

// With the failsafe schema every scalar is its source text; a quoted or block scalar is its value.
const scalarText = (node: Scalar): string => (node.value === null ? "" : String(node.value));

function scalarStyle(node: Scalar): ScalarNode["style"] {
  if (node.type === "PLAIN" || node.type === undefined) return "plain";
  return node.type.startsWith("BLOCK") ? "block" : "quoted";
}

function isEmptyScalar(node: unknown): boolean {
  return isScalar(node) && (node.type === "PLAIN" || node.type === undefined) && (node.value === "" || node.value === null);
}

/** Offset of the first flow bracket or line that nests too deeply; a cheap guard before the recursive parser. */
function tooDeep(text: string): number | undefined {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === "[" || char === "{") depth++;
    else if (char === "]" || char === "}") depth = Math.max(0, depth - 1);
    else if (char === "\n") {
      const indicators = /^(?:[ ]*[-?:] ){0,200}/.exec(text.slice(at + 1, at + 600))?.[0] ?? "";
      if (indicators.split(/[-?:] /).length > MAX_DEPTH) return at + 1;
    }
    if (depth > MAX_DEPTH * 4) return at;
  }
  return undefined;
}

function syntaxMessage(text: string, error: YAMLError): string {
  if (error.code === "TAB_AS_INDENT") return "a tab is used as indentation";
  if (error.code === "BLOCK_AS_IMPLICIT_KEY" && /:\s*$/.test(lineAt(text, error.pos[0]))) return "the text after the colon is empty";
  return (error.message.split("\n")[0] ?? error.code).replace(/ at line \d+, column \d+:?$/, "");
}

function syntaxHint(text: string, error: YAMLError): Finding {
  if (error.code === "TAB_AS_INDENT") return { expected: "blanks" };
  if (/:\s.*\S:\s*$/.test(lineAt(text, error.pos[0]))) {
    return { hint: "the text after the last colon is empty: a shell variable of the template was likely empty when it was rendered" };
  }
  return {};
}

const lineAt = (text: string, offset: number): string => {
  const start = text.lastIndexOf("\n", offset - 1) + 1;
  const end = text.indexOf("\n", offset);
  return text.slice(start, end === -1 ? undefined : end);
};

function invalidUtf8Offset(bytes: Uint8Array): number {
  let good = 0;
  let bad = bytes.length;
  const valid = (length: number): boolean => {
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, length), { stream: true });
      return true;
    } catch {
      return false; // the search only needs to know that there is an error
    }
  };
  while (good + 1 < bad) {
    const middle = (good + bad) >> 1;
    if (valid(middle)) good = middle;
    else bad = middle;
  }
  return good;
}
