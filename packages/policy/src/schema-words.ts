/** The definition of the language in words, out of its JSON Schema: for the reference page and for `explain`. */

export interface DescribedField {
  readonly name: string;
  readonly schema: object;
  /** What its value may be, in a few words. */
  readonly value: string;
  /** Empty where the definition says none. */
  readonly meaning: string;
  readonly required: boolean;
}

export type DescribedMapping = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Spellings that need no mention: a placeholder instead of a value, digits in quotes, digits that YAML takes for a number. */
function isOtherSpelling(schema: unknown): boolean {
  return (
    isObject(schema) && (schema["pattern"] === "^\\$\\$SCONE::.*\\$\\$$" || schema["pattern"] === "^[0-9]+$" || schema["type"] === "number")
  );
}

/** What a value may be, in a few words. */
function typeOf(schema: unknown): string {
  if (!isObject(schema)) return "any";
  const { anyOf, enum: words, const: only, type, items, properties, pattern, minimum, maximum, $ref } = schema;
  if (Array.isArray(words)) return words.map((word) => `\`${String(word)}\``).join(", ");
  if (only !== undefined) return `\`${String(only)}\``;
  if (Array.isArray(anyOf)) {
    const kinds = new Set(anyOf.filter((one) => !isOtherSpelling(one)).map(typeOf));
    const [list, one] = [...kinds].toSorted((a, b) => b.length - a.length);
    const isEither = kinds.size === 2 && one !== undefined && (list === `list of ${one}` || list === `list of ${one}s`);
    return isEither ? `${one}, or a list of these` : [...kinds].join(" or ");
  }
  if (type === "array") return `list of ${typeOf(items).replace(/^mapping$/, "mappings")}`;
  if (type === "null") return "`null`";
  if (isObject(properties)) return "mapping";
  if (typeof minimum === "number" && typeof maximum === "number") return `integer ${minimum}…${maximum}`;
  if (typeof pattern === "string") {
    const digits = /^\^\[0-9A-Fa-f\]\{(\d+)\}\$$/.exec(pattern)?.[1];
    return digits === undefined ? "text" : `${digits} hexadecimal digits`;
  }
  if ($ref !== undefined) return "access entry";
  return type === "boolean" ? "`true` or `false`" : type === "object" ? "mapping" : "text";
}

/** Mappings anywhere inside a schema, so that their keys can be listed too. */
export function mappingsIn(schema: unknown): DescribedMapping[] {
  if (!isObject(schema)) return [];
  if (isObject(schema["properties"])) return [schema];
  const parts = [...(Array.isArray(schema["anyOf"]) ? schema["anyOf"] : []), schema["items"]];
  return parts.flatMap(mappingsIn);
}

/** The keys of a mapping, in the order of the definition. */
export function fieldsOf(mapping: DescribedMapping): DescribedField[] {
  const properties = isObject(mapping["properties"]) ? mapping["properties"] : {};
  const required = Array.isArray(mapping["required"]) ? mapping["required"] : [];
  return Object.entries(properties).flatMap(([name, schema]) => {
    if (!isObject(schema)) return [];
    const meaning = typeof schema["description"] === "string" ? schema["description"] : "";
    return [{ name, schema, value: typeOf(schema), meaning, required: required.includes(name) }];
  });
}
