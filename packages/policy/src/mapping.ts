import { type Context, type Issue, type JsonSchema, mapNode, type Place, quote, type Reader } from "./reader.ts";
import { MAX_DIAGNOSTICS } from "./reporter.ts";
import { didYouMean } from "./spelling.ts";

/** One key of a mapping. */
export interface Field<T> {
  readonly reader: Reader<T>;
  /** One sentence for the reference page and for editors. */
  readonly doc: string;
  readonly required?: Issue;
  /** Patch level of the language that brought the key (SL-36). */
  readonly since?: number;
  /** The value is a secret: neither it nor its source line is ever shown (SL-5). */
  readonly sensitive?: boolean;
  /** The key is known in order to be refused by name: it is offered to nobody. */
  readonly refused?: boolean;
}

export type Fields = { readonly [key: string]: Field<unknown> };
export type Raw<F extends Fields> = { readonly [K in keyof F]: F[K] extends Field<infer T> ? T | undefined : never };

export interface MappingOptions {
  readonly rule: string;
  readonly expected: string;
  /** Value of an unknown key may be a misplaced secret: hide it. */
  readonly holdsSecrets?: boolean;
  /** Rule for an unknown key. */
  readonly unknownRule?: string;
}

/**
 * A mapping with a fixed set of keys (SL-12). `build` gets the values that were read (`undefined` for keys that are absent) and runs only if none failed.
 */
export function mapping<F extends Fields, T>(
  fields: F,
  options: MappingOptions,
  build: (raw: Raw<F>, place: Place, context: Context) => T | undefined,
): Reader<T> {
  const keys = Object.keys(fields).filter((key) => fields[key]?.refused !== true);
  const table = new Map(Object.entries(fields));
  const requiredKeys = keys.filter((key) => fields[key]?.required !== undefined);
  return {
    read(place, context) {
      const node = mapNode(place, context, options.rule, options.expected);
      if (node === undefined) return undefined;
      const raw: Record<string, unknown> = {};
      let failed = false;
      for (const [name, { key, value }] of node.entries) {
        const field = table.get(name);
        if (field === undefined) {
          failed = true;
          if (options.holdsSecrets === true) context.reporter.hide(value);
          context.errorAtKey(place, name, {
            rule: options.unknownRule ?? "SL-12",
            message: `unknown key ${quote(key.text)}`,
            expected: (keys.length > 2 ? "one of " : "") + keys.map((known) => `\`${known}\``).join(", "),
            // Beyond what is ever shown, looking for the nearest word would be wasted.
            hint: context.reporter.errorCount > MAX_DIAGNOSTICS ? undefined : didYouMean(name, keys),
          });
          continue;
        }
        if (field.sensitive === true) context.reporter.hide(value);
        if (field.since !== undefined) context.needs(field.since, `\`${name}\``, place, name);
        const read = field.reader.read({ node: value, parent: place, key: name }, context);
        if (read === undefined) failed = true;
        else raw[name] = read;
      }
      for (const name of requiredKeys) {
        const required = table.get(name)?.required;
        if (required === undefined || node.entries.has(name)) continue;
        failed = true;
        context.errorMissing(place, required);
      }
      if (failed) return undefined;
      // Every key of `raw` was produced by the reader of the field with that name.
      const built = build(raw as Raw<F>, place, context);
      return typeof built === "object" && built !== null ? context.remember(built, place) : built;
    },
    schema: () => mappingSchema(fields, requiredKeys),
  };
}

function mappingSchema(fields: Fields, required: readonly string[]): JsonSchema {
  const properties = Object.entries(fields).map(([name, { reader, doc }]) => [name, { description: doc, ...reader.schema() }]);
  return {
    type: "object",
    additionalProperties: false,
    properties: Object.fromEntries(properties),
    ...(required.length === 0 ? {} : { required }),
  };
}
