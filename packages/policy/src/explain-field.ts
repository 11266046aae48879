/** `explain FIELD.PATH`: what a key of the language means, out of the one definition. */
import { sessionJsonSchema } from "./json-schema.ts";
import { type DescribedField, fieldsOf, mappingsIn } from "./schema-words.ts";
import { SECRET_FORMATS } from "./secret-formats.ts";
import { SECRET_KINDS } from "./session.ts";
import { nearestWord } from "./spelling.ts";

export interface FieldExplanation {
  /** Empty for the whole document. */
  readonly path: string;
  readonly value: string;
  readonly meaning: string;
  readonly required: boolean;
  readonly keys: readonly Pick<DescribedField, "name" | "value" | "meaning" | "required">[];
  /** For `secrets`: formats in placeholders by kind, without their colon; empty elsewhere. */
  readonly formats: ReadonlyMap<string, readonly string[]>;
}

export interface UnknownField {
  /** The part of the path that exists. */
  readonly below: string;
  readonly unknown: string;
  readonly known: readonly string[];
  readonly nearest: string | undefined;
}

/** Explains a path as diagnostics write it; list positions (`services[0]`, `services.0`) may stand in it or not. */
export function explainField(path: string): FieldExplanation | UnknownField {
  const words = path.split(/[.[\]]+/).filter((word) => word !== "" && !/^\d+$/.test(word));
  const schema = sessionJsonSchema();
  let fields = fieldsOf(schema);
  let found: Omit<FieldExplanation, "keys" | "formats"> = {
    path: "",
    value: "mapping",
    meaning: String(schema["description"]),
    required: true,
  };
  for (const [at, word] of words.entries()) {
    const field = fields.find(({ name }) => name === word);
    const known = fields.map(({ name }) => name);
    const below = words.slice(0, at).join(".");
    if (field === undefined) return { below, unknown: word, known, nearest: nearestWord(word, known) };
    const { value, meaning, required } = field;
    found = { path: words.slice(0, at + 1).join("."), value, meaning, required };
    fields = [
      ...new Map(
        mappingsIn(field.schema)
          .flatMap(fieldsOf)
          .map((inner) => [inner.name, inner]),
      ).values(),
    ];
  }
  const keys = fields.map(({ name, value, meaning, required }) => ({ name, value, meaning, required }));
  return { ...found, keys, formats: found.path === "secrets" ? placeholderFormats() : new Map() };
}

function placeholderFormats(): ReadonlyMap<string, readonly string[]> {
  return new Map(SECRET_KINDS.map((kind) => [kind, [...SECRET_FORMATS[kind].keys()]]));
}

/** The explanation as text for people. */
export function renderExplanation({ path, value, meaning, required, keys, formats }: FieldExplanation): string {
  const head = path === "" ? [meaning] : [`${path}${required ? " (required)" : ""}: ${value}`, ...(meaning === "" ? [] : [`  ${meaning}`])];
  const width = Math.max(0, ...keys.map(({ name }) => name.length)) + 2;
  const rows = keys.map((key) => {
    const about = [key.meaning, key.required ? "Required." : "", `[${key.value}]`].filter((part) => part !== "").join(" ");
    return `  ${key.name.padEnd(width)}${about}`;
  });
  const forms = [...formats].map(([kind, names]) => {
    const shown = names.map((name) => (name === "" ? "(none)" : name.startsWith(".") ? name : `:${name}`)).join(" ");
    return `  ${kind.padEnd(18)}${shown === "" ? "no placeholder in text" : shown}`;
  });
  return [
    ...head,
    ...(rows.length === 0 ? [] : ["", "keys:", ...rows]),
    ...(forms.length === 0 ? [] : ["", "formats in $$SCONE::NAME…$$:", ...forms]),
    "",
  ].join("\n");
}
