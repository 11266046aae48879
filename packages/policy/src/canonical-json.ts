import type { JsonValue } from "./session.ts";

/** RFC 8785 (JCS). The value must hold finite numbers and well-formed strings only. */
export function canonicalJson(value: JsonValue): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  const object = value as { readonly [key: string]: JsonValue }; // the only member of the union left
  const keys = Object.keys(object).sort(); // by UTF-16 code units, as JCS asks
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonicalJson(object[key] ?? null)}`).join(",")}}`;
}
