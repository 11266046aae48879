/** The reference page of the language, from its definition: `node packages/policy/test/reference-page.ts > packages/policy/REFERENCE.md`. */

import { sessionJsonSchema } from "../src/index.ts";
import { SECRET_FORMATS } from "../src/secret-formats.ts";

interface Field {
  readonly name: string;
  readonly schema: object;
}

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
    const kinds = anyOf.filter((one) => !isOtherSpelling(one)).map(typeOf);
    return [...new Set(kinds)].join(" or ");
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
function mappingsIn(schema: unknown): Readonly<Record<string, unknown>>[] {
  if (!isObject(schema)) return [];
  if (isObject(schema["properties"])) return [schema];
  const parts = [...(Array.isArray(schema["anyOf"]) ? schema["anyOf"] : []), schema["items"]];
  return parts.flatMap(mappingsIn);
}

function fieldsOf(mapping: Readonly<Record<string, unknown>>): Field[] {
  const properties = isObject(mapping["properties"]) ? mapping["properties"] : {};
  return Object.entries(properties).flatMap(([name, schema]) => (isObject(schema) ? [{ name, schema }] : []));
}

function section(path: string, mapping: Readonly<Record<string, unknown>>, written: Set<string>): string {
  if (written.has(path)) return "";
  written.add(path);
  const required = Array.isArray(mapping["required"]) ? mapping["required"] : [];
  const fields = fieldsOf(mapping);
  const rows = fields.map(({ name, schema }) => {
    const description = "description" in schema ? String(schema.description) : "";
    const cell = (text: string) => text.replaceAll("|", "\\|");
    return `| \`${name}\`${required.includes(name) ? " (required)" : ""} | ${cell(typeOf(schema))} | ${cell(description)} |\n`;
  });
  const head = `## ${path === "" ? "The document" : `\`${path}\``}\n\n| key | value | meaning |\n|---|---|---|\n${rows.join("")}\n`;
  const below = fields.flatMap(({ name, schema }) =>
    mappingsIn(schema).map((inner) => section(path === "" ? name : `${path}.${name}`, inner, written)),
  );
  return head + below.join("");
}

/** The whole page. */
export function referencePage(): string {
  const formats = Object.entries(SECRET_FORMATS).map(([kind, table]) => {
    const names = (output: string) =>
      [...table]
        .filter(([, format]) => format.output === output)
        .map(([name]) => (name === "" ? "*(none)*" : name.startsWith(".") ? `\`${name}\`` : `\`:${name}\``));
    return `| \`${kind}\` | ${names("text").join(", ")} | ${names("bytes").join(", ")} |\n`;
  });
  return `# Keys of a session document

Made from the definition that reads sessions; a test compares. Wherever a section of \`attestation\`, \`platforms\`, \`security\` or \`access_policy\` stands, a placeholder
\`$$SCONE::name$$\` of a secret may stand for it.

${section("", sessionJsonSchema(), new Set())}## Formats of secrets

| kind | text, allowed everywhere | bytes, in injection files only |
|---|---|---|
${formats.join("")}`;
}

if (import.meta.main) process.stdout.write(referencePage());
