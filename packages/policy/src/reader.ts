/**
 * The language is defined once, as readers: a reader turns a node into a typed value, reports what is wrong with it, and says what it accepts as JSON Schema.
 * `undefined` from `read` means that the node failed and has been reported (SL-4: no follow-up errors).
 */
import { type ParsedPlaceholder, scanPlaceholders } from "./placeholder-syntax.ts";
import type { Range, Reporter } from "./reporter.ts";
import type { Placeholder } from "./session.ts";
import { didYouMean } from "./spelling.ts";
import { isNull, type MapNode, rangeInScalar, type ScalarNode, type YamlNode } from "./yaml-document.ts";

export type JsonSchema = { readonly [key: string]: unknown };

/** Where a node hangs in the document. */
export interface Place {
  readonly node: YamlNode;
  readonly parent: Place | undefined;
  readonly key: string | number | undefined;
}

export function pathOf(place: Place): string {
  const before = place.parent === undefined ? "" : pathOf(place.parent);
  if (place.key === undefined) return before;
  if (typeof place.key === "number") return `${before}[${place.key}]`;
  return before === "" ? place.key : `${before}.${place.key}`;
}

/** What a placeholder stands in; decides which formats may be used there (§12.2). */
export type PlaceholderTarget = "text" | "file" | "section" | "key" | "otp" | "payload" | "token";

/** A placeholder found while reading, to be checked when all secrets are known. */
export interface PlaceholderSite {
  readonly placeholder: ParsedPlaceholder;
  readonly target: PlaceholderTarget;
  readonly place: Place;
}

export interface Issue {
  readonly severity?: "error" | "warning";
  readonly rule: string;
  readonly message: string;
  readonly expected?: string | undefined;
  readonly hint?: string | undefined;
}

/** State of one reading. */
export class Context {
  readonly reporter: Reporter;
  readonly sites: PlaceholderSite[] = [];
  /** Patch level the document asks for; a newer field is warned of (SL-36). */
  patch = Number.POSITIVE_INFINITY;
  sessionName = "";
  readonly #places = new WeakMap<object, Place>();

  constructor(reporter: Reporter) {
    this.reporter = reporter;
  }

  error(place: Place, issue: Issue): undefined {
    this.reporter.report({ ...issue, range: place.node, path: pathOf(place) });
    return undefined;
  }

  errorAtKey(place: Place, key: string, issue: Issue): undefined {
    const entry = place.node.kind === "map" ? place.node.entries.get(key) : undefined;
    const path = pathOf({ node: place.node, parent: place, key });
    this.reporter.report({ ...issue, range: entry?.key ?? place.node, path });
    return undefined;
  }

  /** A missing key is reported at the first key of the mapping that lacks it (SL-3). */
  errorMissing(place: Place, issue: Issue): undefined {
    this.reporter.report({ ...issue, range: firstKey(place.node), path: pathOf(place) });
    return undefined;
  }

  errorInText(place: Place, offset: number, token: string, issue: Issue): undefined {
    const exact = place.node.kind === "scalar" && !this.reporter.isFull;
    const range = exact ? rangeInScalar(this.reporter.source, place.node, offset, token) : place.node;
    this.reporter.report({ ...issue, range, path: pathOf(place) });
    return undefined;
  }

  /** Warns when something newer than the stated version is used. */
  needs(patch: number, what: string, place: Place, key?: string): void {
    if (patch <= this.patch) return;
    const issue: Issue = {
      severity: "warning",
      rule: "SL-36",
      message: `${what} needs version 0.3.${patch}, the document says 0.3.${this.patch}`,
      expected: `\`version: "0.3.${patch}"\` or newer`,
    };
    if (key === undefined) this.error(place, issue);
    else this.errorAtKey(place, key, issue);
  }

  remember<T extends object>(value: T, place: Place): T {
    this.#places.set(value, place);
    return value;
  }

  /** Where a value was read from. */
  placeOf(value: object): Place {
    const place = this.#places.get(value);
    if (place === undefined) throw new TypeError("this value was not read from the document");
    return place;
  }
}

function firstKey(node: YamlNode): Range {
  if (node.kind !== "map") return node;
  const [first] = node.entries.values();
  return first?.key ?? node;
}

export function child(place: Place, key: string | number): Place {
  const { node } = place;
  const found = node.kind === "map" ? node.entries.get(String(key))?.value : node.kind === "list" ? node.items[Number(key)] : undefined;
  return { node: found ?? node, parent: place, key };
}

export { isNull as isNullNode } from "./yaml-document.ts";

export interface Reader<T> {
  read(place: Place, context: Context): T | undefined;
  readonly schema: () => JsonSchema;
}

/** What kind of node was found, for messages. */
export function describe(node: YamlNode): string {
  if (node.kind === "map") return "a mapping";
  if (node.kind === "list") return node.items.length === 0 ? "an empty list" : "a list";
  return isNull(node) ? "null" : quote(node.text);
}

/** Text from the document as it may appear in a message: short, on one line, without control characters. */
export function quote(text: string): string {
  const shown = text.length > 80 ? `${text.slice(0, 77)}…` : text;
  return `\`${shown.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (character) => JSON.stringify(character).slice(1, -1))}\``;
}

/** A scalar node that is a string (SL-14), or an error by `rule`. */
export function stringNode(place: Place, context: Context, rule: string, expected: string): ScalarNode | undefined {
  const { node } = place;
  if (node.tag !== undefined) return context.error(place, { rule: "SL-13", message: `tag \`${node.tag}\``, expected: "none here" });
  if (node.kind !== "scalar") return context.error(place, { rule, message: describe(node), expected });
  if (isNull(node)) {
    return context.error(place, { rule: "SL-14", message: "null", expected, hint: 'write "" for an empty string' });
  }
  return node;
}

/** Literal text: a placeholder in it is an error (SL-118). */
export function literal<T = string>(
  rule: string,
  expected: string,
  accept: (text: string, place: Place, context: Context) => T | undefined,
  schema: JsonSchema = { type: ["string", "number", "boolean"] },
): Reader<T> {
  return {
    read(place, context) {
      const node = stringNode(place, context, rule, expected);
      if (node === undefined) return undefined;
      const at = node.text.indexOf("$$SCONE::");
      if (at >= 0) {
        const key = [place.key, place.parent?.key].find((part) => typeof part === "string") ?? "this place";
        const token = scanPlaceholders(node.text)[0]?.text ?? "$$SCONE::";
        return context.errorInText(place, at, token, {
          rule: "SL-118",
          message: `placeholder in \`${key}\``,
          expected: "a literal value",
        });
      }
      return accept(node.text, place, context);
    },
    schema: () => schema,
  };
}

export function anyText(rule = "SL-14", expected = "a string"): Reader<string> {
  return literal(rule, expected, (text) => text);
}

/** Text in which placeholders are replaced at delivery. */
export function templateText(target: PlaceholderTarget, expected = "a string"): Reader<string> {
  return {
    read(place, context) {
      const node = stringNode(place, context, "SL-14", expected);
      if (node === undefined) return undefined;
      return collectPlaceholders(node.text, target, place, context) ? node.text : undefined;
    },
    schema: () => ({ type: ["string", "number", "boolean"] }),
  };
}

/** Notes every placeholder of a text; false when one of them is malformed. */
export function collectPlaceholders(text: string, target: PlaceholderTarget, place: Place, context: Context): boolean {
  if (!text.includes("$$SCONE:")) return true;
  let intact = true;
  for (const found of scanPlaceholders(text)) {
    if (found.kind === "malformed") {
      const { rule, message, expected, hint } = found;
      context.errorInText(place, found.offset, found.text, { rule, message, expected, hint });
      intact = false;
    } else {
      context.sites.push({ placeholder: found, target, place });
    }
  }
  return intact;
}

/** A value, or one placeholder that stands for it (SL-77, SL-114). */
export function orPlaceholder<T>(reader: Reader<T>, target: PlaceholderTarget = "section"): Reader<T | Placeholder> {
  return {
    read(place, context) {
      const { node } = place;
      if (node.kind === "scalar" && node.text.startsWith("$$SCONE:")) {
        if (!collectPlaceholders(node.text, target, place, context)) return undefined;
        const [placeholder] = scanPlaceholders(node.text);
        if (placeholder?.kind === "placeholder" && placeholder.text.length === node.text.length) {
          return { kind: "placeholder", secret: placeholder.name, text: node.text };
        }
        return context.error(place, {
          rule: "SL-118",
          message: "a placeholder with text around it",
          expected: "one placeholder, or a literal value",
        });
      }
      return reader.read(place, context);
    },
    schema: () => ({ anyOf: [reader.schema(), { type: "string", pattern: "^\\$\\$SCONE::.*\\$\\$$" }] }),
  };
}

export function oneOf<const W extends string>(rule: string, words: readonly W[], what?: string): Reader<W> {
  const expected = what ?? words.map((word) => `\`${word}\``).join(", ");
  return literal(
    rule,
    expected,
    (text, place, context) =>
      words.find((word) => word === text) ?? context.error(place, { rule, message: quote(text), expected, hint: didYouMean(text, words) }),
    { enum: words },
  );
}

/** SL-16. */
export const boolean: Reader<boolean> = {
  read(place, context) {
    const { node } = place;
    const isPlain = node.kind === "scalar" && node.style === "plain" && node.tag === undefined;
    if (isPlain && node.text === "true") return true;
    if (isPlain && node.text === "false") return false;
    return context.error(place, { rule: "SL-16", message: describe(node), expected: "`true` or `false`" });
  },
  schema: () => ({ type: "boolean" }),
};

/** SL-15: decimal digits, also quoted. `rule` names the clause that sets the bounds. */
export function integer(rule: string, least: number, most: number): Reader<number> {
  const expected = `an integer ${least}…${most}`;
  return literal(
    "SL-15",
    expected,
    (text, place, context) => {
      if (!/^(?:0|[1-9][0-9]{0,14})$/.test(text)) return context.error(place, { rule: "SL-15", message: quote(text), expected });
      const value = Number(text);
      return value >= least && value <= most ? value : context.error(place, { rule, message: text, expected });
    },
    {
      anyOf: [
        { type: "integer", minimum: least, maximum: most },
        { type: "string", pattern: "^[0-9]+$" },
      ],
    },
  );
}

/** SL-17: exactly `bytes` bytes, normalised to lower case. `rule` names the clause that sets the length. */
export function hex(bytes: number, rule = "SL-17", orNull = false): Reader<string> {
  const expected = `${bytes * 2} hexadecimal digits (${bytes} bytes)${orNull ? " or null" : ""}`;
  return literal(
    rule,
    expected,
    (text, place, context) => {
      const bad = /[^0-9a-fA-F]/.exec(text);
      if (text.length !== bytes * 2) return context.error(place, { rule, message: `${[...text].length} characters`, expected });
      if (bad !== null) return context.error(place, { rule: "SL-17", message: `${quote(bad[0])} is no hexadecimal digit`, expected });
      return text.toLowerCase();
    },
    { anyOf: [{ type: "string", pattern: `^[0-9A-Fa-f]{${bytes * 2}}$` }, { type: "number" }] },
  );
}

export interface ListOptions {
  readonly rule: string;
  readonly expected: string;
  /** Error when the list has no items. */
  readonly nonEmpty?: { readonly rule: string; readonly expected: string };
  /** One item may stand for a list of one. */
  readonly single?: boolean;
}

/** A list; items that fail make the list fail, after all of them were read. */
export function list<T>(item: Reader<T>, { rule, expected, nonEmpty, single = false }: ListOptions): Reader<readonly T[]> {
  return {
    read(place, context) {
      const { node } = place;
      if (node.tag !== undefined) return context.error(place, { rule: "SL-13", message: `tag \`${node.tag}\``, expected: "none here" });
      if (node.kind !== "list") {
        if (!single) {
          const issue: Issue = { rule: isNull(node) ? "SL-21" : rule, message: describe(node), expected };
          return context.error(place, issue);
        }
        const value = item.read(place, context);
        return value === undefined ? undefined : [value];
      }
      if (nonEmpty !== undefined && node.items.length === 0) {
        return context.error(place, { rule: nonEmpty.rule, message: "empty list", expected: nonEmpty.expected });
      }
      const values: T[] = [];
      node.items.forEach((itemNode, index) => {
        const value = item.read({ node: itemNode, parent: place, key: index }, context);
        if (value !== undefined) values.push(value);
      });
      return values.length === node.items.length ? values : undefined;
    },
    schema: () => {
      const array = { type: "array", items: item.schema(), ...(nonEmpty === undefined ? {} : { minItems: 1 }) };
      return single ? { anyOf: [array, item.schema()] } : array;
    },
  };
}

/** A reader that is made on first use, for definitions that contain themselves. `name` becomes a `$defs` entry of the JSON Schema. */
export function lazy<T>(name: string, make: () => Reader<T>): Reader<T> {
  let made: Reader<T> | undefined;
  const get = () => {
    made ??= make();
    return made;
  };
  return { read: (place, context) => get().read(place, context), schema: () => ({ $ref: `#/$defs/${name}` }) };
}

/** Reads further when the first reader succeeded; the schema stays the first one's. */
export function refine<T, U>(reader: Reader<T>, next: (value: T, place: Place, context: Context) => U | undefined): Reader<U> {
  return {
    read(place, context) {
      const value = reader.read(place, context);
      return value === undefined ? undefined : next(value, place, context);
    },
    schema: reader.schema,
  };
}

export function mapNode(place: Place, context: Context, rule: string, expected: string): MapNode | undefined {
  const { node } = place;
  if (node.tag !== undefined) return context.error(place, { rule: "SL-13", message: `tag \`${node.tag}\``, expected: "none here" });
  if (node.kind === "map") return node;
  return context.error(place, { rule: isNull(node) ? "SL-21" : rule, message: describe(node), expected });
}
