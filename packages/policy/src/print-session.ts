import { CORE_SCHEMA, type DumpOptions, dump } from "js-yaml";
import { type CreatorOption, normaliseSession } from "./normal-form.ts";
import type { JsonValue, Session } from "./session.ts";

const DUMP: DumpOptions = { schema: CORE_SCHEMA, lineWidth: -1, noRefs: true };
/** Keys whose normal form is a number of seconds. */
const DURATIONS = new Set(["valid_for", "for", "every", "expires"]);
/** Mappings of the user's own words: nothing inside is one of the language's keys. */
const FREE = new Set(["environment", "payload"]);

/** The document of `session read`: YAML that parses to the same normal form, so it has the same hash (SL-54). */
export function printSession(session: Session, options: CreatorOption & { readonly unknownCreator?: "omit" } = {}): string {
  const { secret_config: store, ...rest } = normaliseSession(session, options);
  const body = dump(printable(rest, undefined), DUMP);
  if (store === undefined || session.secretStore.kind !== "akv") return body;
  const { vault, token } = session.secretStore;
  const fields = [`vault: ${JSON.stringify(vault)}`, ...(token === undefined ? [] : [`token: ${JSON.stringify(token.text)}`])];
  return `${body}secret_config:\n  store_in: !akv {${fields.join(", ")}}\n`;
}

/** Numbers that the language writes with a unit or a radix get it back. */
function printable(value: JsonValue, key: string | undefined): JsonValue {
  if (typeof value === "number") {
    if (key === "permission") return `0o${value.toString(8)}`;
    return key !== undefined && DURATIONS.has(key) ? `${value}s` : value;
  }
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => printable(item, undefined));
  const object = value as { readonly [key: string]: JsonValue }; // the only member of the union left
  if (object["kind"] === "config-fragment") return object;
  return Object.fromEntries(Object.entries(object).map(([name, item]) => [name, FREE.has(name) ? item : printable(item, name)]));
}
