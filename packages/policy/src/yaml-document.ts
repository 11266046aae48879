import { getScalarValue, parseEvents, SCALAR_STYLE, type ScalarEvent, YAMLException } from "js-yaml";
import type { Diagnostic } from "./diagnostic.ts";
import { type Range, Reporter } from "./reporter.ts";
import { SourceText } from "./source-text.ts";

export type YamlNode = ScalarNode | ListNode | MapNode;

export interface ScalarNode extends Range {
  readonly kind: "scalar";
  /** Decoded text; what type it has is for the reader of the field to decide (SL-14). */
  readonly text: string;
  readonly style: "plain" | "single" | "double" | "block";
  readonly tag: string | undefined;
  /** The text no longer stands in the source in this form: a template variable or a secret was put in. */
  readonly substituted: boolean;
}

export interface ListNode extends Range {
  readonly kind: "list";
  readonly items: readonly YamlNode[];
  readonly tag: string | undefined;
}

export interface MapNode extends Range {
  readonly kind: "map";
  readonly entries: ReadonlyMap<string, MapEntry>;
  readonly tag: string | undefined;
}

export interface MapEntry {
  readonly key: ScalarNode;
  readonly value: YamlNode;
}

/** Names of the rules reported by the reader; other document kinds have their own. */
export interface YamlRules {
  readonly form: string;
  readonly limits: string;
  readonly duplicateKey: string;
  readonly tags: string;
  readonly nul: string;
  readonly atSign: string;
}

export const SESSION_YAML_RULES: YamlRules = {
  form: "SL-9",
  limits: "SL-10",
  duplicateKey: "SL-11",
  tags: "SL-13",
  nul: "SL-19",
  atSign: "SL-71",
};

export const MAX_DOCUMENT_BYTES = 1024 * 1024;
export const MAX_DEPTH = 64;

export interface YamlReading {
  readonly source: SourceText;
  /** Undefined when the text is no single well-formed document. */
  readonly root: YamlNode | undefined;
  readonly reporter: Reporter;
}

/** A collection that is still open. */
interface Frame {
  readonly items: YamlNode[] | undefined;
  readonly entries: Map<string, MapEntry> | undefined;
  readonly start: number;
  readonly tag: string | undefined;
  readonly anchor: string | undefined;
  readonly closingCharacters: number;
  key: ScalarNode | undefined;
  /** Source characters under this node after alias expansion, and the depth below it. */
  size: number;
  depth: number;
  failedKey: boolean;
}

interface Anchored {
  readonly node: YamlNode;
  readonly size: number;
  readonly depth: number;
}

/** `null`, `~` or nothing at all, unquoted: not a string anywhere in the language (SL-14). */
export function isNull(node: YamlNode): boolean {
  return node.kind === "scalar" && node.style === "plain" && !node.substituted && /^(?:|~|null|Null|NULL)$/.test(node.text);
}

/** Reads one YAML document with positions. Limits: 1 MiB before and after aliases, depth 64. Merge keys and tags other than `allowedTags` are refused. */
export function readYaml(
  text: string,
  { file = "<text>", rules = SESSION_YAML_RULES, allowedTags = [] as readonly string[] } = {},
): YamlReading {
  const source = new SourceText(text.startsWith("\uFEFF") ? text.slice(1) : text, file);
  const reporter = new Reporter(source);
  return { source, reporter, root: new YamlBuilder(source, reporter, rules, allowedTags).build() };
}

/** `readYaml` for callers that want the tree and the diagnostics only. */
export function readYamlDocument(
  text: string,
  options: { file?: string; rules?: YamlRules; allowedTags?: readonly string[] } = {},
): { root: YamlNode | undefined; source: SourceText; diagnostics: Diagnostic[] } {
  const { root, source, reporter } = readYaml(text, options);
  return { root, source, diagnostics: reporter.diagnostics(false) };
}

class YamlBuilder {
  readonly #source: SourceText;
  readonly #reporter: Reporter;
  readonly #rules: YamlRules;
  readonly #allowedTags: readonly string[];
  readonly #anchors = new Map<string, Anchored>();
  readonly #frames: Frame[] = [];
  #root: Anchored | undefined;
  #documents = 0;
  #lastEnd = 0;
  #failed = false;

  constructor(source: SourceText, reporter: Reporter, rules: YamlRules, allowedTags: readonly string[]) {
    this.#source = source;
    this.#reporter = reporter;
    this.#rules = rules;
    this.#allowedTags = allowedTags;
  }

  build(): YamlNode | undefined {
    const { text } = this.#source;
    if (text.length > MAX_DOCUMENT_BYTES || (text.length * 3 > MAX_DOCUMENT_BYTES && Buffer.byteLength(text) > MAX_DOCUMENT_BYTES)) {
      return this.#fail(this.#rules.limits, { start: 0, end: 0 }, "the document is larger than 1 MiB", "at most 1 MiB");
    }
    if (!text.isWellFormed()) return this.#fail(this.#rules.form, { start: 0, end: 0 }, "the document is not valid Unicode", "UTF-8 text");
    try {
      this.#walk(text);
    } catch (error) {
      if (!(error instanceof YAMLException)) throw error;
      return this.#syntaxError(error);
    }
    if (this.#failed) return undefined;
    if (this.#root === undefined) return this.#fail(this.#rules.form, { start: 0, end: 0 }, "the document is empty", "one YAML mapping");
    return this.#root.node;
  }

  #fail(rule: string, range: Range, message: string, expected = "", hint?: string): undefined {
    this.#failed = true;
    this.#reporter.report({ rule, range, path: this.#path(), message, expected, hint });
    return undefined;
  }

  #path(): string {
    let path = "";
    for (const frame of this.#frames) {
      if (frame.items !== undefined) path += `[${frame.items.length}]`;
      else if (frame.key !== undefined) path += path === "" ? frame.key.text : `.${frame.key.text}`;
    }
    return path;
  }

  #syntaxError(error: YAMLException): undefined {
    const start = error.mark?.position ?? 0;
    const range = { start, end: start + 1 };
    const { text } = this.#source;
    if (text[start] === "@") {
      const word = /^@[^\s,\]}]*/.exec(text.slice(start, start + 80))?.[0] ?? "@";
      return this.#fail(this.#rules.atSign, range, "`@` cannot start a plain scalar", "a quoted string", `write \`"${word}"\``);
    }
    if (error.reason.startsWith("nesting exceeded")) {
      return this.#fail(this.#rules.limits, range, `nested deeper than ${MAX_DEPTH} levels`, `at most ${MAX_DEPTH} levels`);
    }
    if (error.reason.startsWith("null byte")) {
      return this.#fail(this.#rules.nul, range, "the character U+0000", "text without it");
    }
    if (error.reason.startsWith("tab characters")) {
      return this.#fail(this.#rules.form, range, "tab character in indentation", "spaces");
    }
    return this.#fail(this.#rules.form, range, `not valid YAML: ${error.reason}`, "one YAML 1.2 document");
  }

  #walk(text: string): void {
    for (const event of parseEvents(text, { maxDepth: MAX_DEPTH })) {
      switch (event.type) {
        case 1: // document
          this.#documents += 1;
          for (const directive of event.directives) {
            if (directive.kind !== "yaml" || directive.version !== "1.2") {
              this.#fail(this.#rules.form, { start: 0, end: 1 }, "a YAML directive", "no directive, or `%YAML 1.2`");
            }
          }
          break;
        case 2: // sequence
        case 3: {
          // mapping
          if (this.#isExtraDocument(event.start)) return;
          const isFlow = text[event.start] === "[" || text[event.start] === "{";
          this.#frames.push({
            items: event.type === 2 ? [] : undefined,
            entries: event.type === 3 ? new Map() : undefined,
            start: event.start,
            tag: this.#tag(event.tagStart, event.tagEnd),
            anchor: event.anchorStart < 0 ? undefined : text.slice(event.anchorStart, event.anchorEnd),
            closingCharacters: isFlow ? 1 : 0,
            key: undefined,
            size: 2,
            depth: 1,
            failedKey: false,
          });
          this.#lastEnd = event.start + (isFlow ? 1 : 0);
          break;
        }
        case 4: {
          // scalar
          const node = this.#scalar(text, event);
          if (this.#isExtraDocument(node.start)) return;
          const anchored = { node, size: node.end - node.start + 1, depth: 0 };
          if (event.anchorStart >= 0) this.#anchors.set(text.slice(event.anchorStart, event.anchorEnd), anchored);
          this.#add(anchored);
          break;
        }
        case 5: {
          // alias
          const range = { start: event.anchorStart - 1, end: event.anchorEnd };
          const name = text.slice(event.anchorStart, event.anchorEnd);
          const target = this.#anchors.get(name);
          this.#lastEnd = range.end;
          if (target === undefined)
            this.#fail(this.#rules.form, range, `alias \`*${name}\` has no anchor before it`, `\`&${name}\` at an earlier value`);
          else this.#add({ ...target, node: { ...target.node, ...range } });
          break;
        }
        case 6: {
          // end of document or collection
          const frame = this.#frames.pop();
          if (frame !== undefined) this.#close(frame);
          break;
        }
        default:
          event satisfies never;
      }
    }
  }

  #isExtraDocument(start: number): boolean {
    if (this.#documents < 2 || this.#frames.length > 0) return false;
    this.#fail(this.#rules.form, { start, end: start + 1 }, "second YAML document", "one document");
    return true;
  }

  #tag(start: number, end: number): string | undefined {
    if (start < 0) return undefined;
    const tag = this.#source.text.slice(start, end);
    if (!this.#allowedTags.includes(tag)) this.#fail(this.#rules.tags, { start, end }, `tag \`${tag}\``, "none here");
    return tag;
  }

  #scalar(text: string, event: ScalarEvent): ScalarNode {
    const value = getScalarValue(text, event);
    const tag = this.#tag(event.tagStart, event.tagEnd);
    const floor = Math.max(this.#lastEnd, event.anchorEnd, event.tagEnd);
    let { valueStart: start, valueEnd: end } = event;
    let style: ScalarNode["style"] = "plain";
    if (start < 0) {
      start = floor;
      end = floor;
    } else if (event.style === SCALAR_STYLE.SINGLE_QUOTED || event.style === SCALAR_STYLE.DOUBLE_QUOTED) {
      style = event.style === SCALAR_STYLE.SINGLE_QUOTED ? "single" : "double";
      start -= 1;
      end += 1;
    } else if (event.style !== SCALAR_STYLE.PLAIN) {
      style = "block";
      const header = text.slice(floor, start).search(/[|>]/);
      if (header >= 0) start = floor + header;
    }
    this.#lastEnd = end;
    const node: ScalarNode = { kind: "scalar", text: value, style, tag, substituted: false, start, end };
    if (style === "double") {
      if (value.includes("\0")) this.#fail(this.#rules.nul, node, "the character U+0000", "text without it");
      if (!value.isWellFormed()) this.#fail(this.#rules.form, node, "half of a surrogate pair", "valid Unicode");
    }
    return node;
  }

  #add(child: Anchored): void {
    const frame = this.#frames.at(-1);
    if (frame === undefined) {
      this.#root ??= child;
      return;
    }
    frame.size += child.size;
    frame.depth = Math.max(frame.depth, child.depth + 1);
    if (frame.size > MAX_DOCUMENT_BYTES)
      this.#fail(this.#rules.limits, child.node, "larger than 1 MiB after alias expansion", "at most 1 MiB");
    if (frame.depth + this.#frames.length - 1 > MAX_DEPTH) {
      this.#fail(this.#rules.limits, child.node, `nested deeper than ${MAX_DEPTH} levels`, `at most ${MAX_DEPTH} levels`);
    }
    if (this.#failed && (frame.size > MAX_DOCUMENT_BYTES || frame.depth > MAX_DEPTH)) return;
    if (frame.items !== undefined) {
      frame.items.push(child.node);
      return;
    }
    if (frame.key === undefined && !frame.failedKey) this.#key(frame, child.node);
    else {
      if (frame.key !== undefined) frame.entries?.set(frame.key.text, { key: frame.key, value: child.node });
      frame.key = undefined;
      frame.failedKey = false;
    }
  }

  #key(frame: Frame, node: YamlNode): void {
    const first = node.kind === "scalar" ? frame.entries?.get(node.text) : undefined;
    frame.failedKey = true;
    if (node.kind !== "scalar") this.#fail(this.#rules.form, node, `a ${node.kind === "map" ? "mapping" : "list"} as key`, "a plain word");
    else if (isNull(node)) this.#fail(this.#rules.form, node, "an empty key", "a word");
    else if (node.text === "<<" && node.style === "plain") {
      this.#fail(this.#rules.tags, node, "merge key `<<`", "the keys themselves, written out");
    } else if (first !== undefined) {
      frame.key = node;
      const { line, column } = this.#source.position(first.key.start);
      this.#fail(
        this.#rules.duplicateKey,
        node,
        `key \`${node.text}\` occurs twice; first at line ${line} column ${column}`,
        "each key once",
      );
      frame.key = undefined;
    } else {
      frame.key = node;
      frame.failedKey = false;
    }
  }

  #close(frame: Frame): void {
    if (frame.closingCharacters > 0) this.#lastEnd += 1;
    const range = { start: frame.start, end: Math.max(this.#lastEnd, frame.start + 1) };
    const node: YamlNode =
      frame.items !== undefined
        ? { kind: "list", items: frame.items, tag: frame.tag, ...range }
        : { kind: "map", entries: frame.entries ?? new Map(), tag: frame.tag, ...range };
    const anchored = { node, size: frame.size, depth: frame.depth };
    if (frame.anchor !== undefined) this.#anchors.set(frame.anchor, anchored);
    this.#add(anchored);
  }
}

/** Where a piece of a scalar's decoded text stands in the source: exact if the scalar is written as is, else the same occurrence of `token` in it. */
export function rangeInScalar(source: SourceText, node: ScalarNode, textOffset: number, token: string): Range {
  if (node.substituted) return node;
  const quote = node.style === "plain" || node.style === "block" ? 0 : 1;
  const written = source.text.slice(node.start + quote, node.end - quote);
  if (written === node.text) return { start: node.start + quote + textOffset, end: node.start + quote + textOffset + token.length };
  let at = -1;
  for (let inText = node.text.indexOf(token); inText >= 0 && inText <= textOffset; inText = node.text.indexOf(token, inText + 1)) {
    at = written.indexOf(token, at + 1);
    if (at < 0) return node;
  }
  if (at < 0) return node;
  return { start: node.start + quote + at, end: node.start + quote + at + token.length };
}
