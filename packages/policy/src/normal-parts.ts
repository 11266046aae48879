import type { JsonValue, Placeholder, SessionReference } from "./session.ts";

export type Form = { readonly [key: string]: JsonValue };

/** Drops the keys whose value is undefined. */
export function form(fields: { readonly [key: string]: JsonValue | undefined }): Form {
  const result: Record<string, JsonValue> = {};
  for (const key in fields) {
    const value = fields[key];
    if (value !== undefined) result[key] = value;
  }
  return result;
}

/** An empty list equals absence (SL-29). */
export function listForm<T>(values: readonly T[], each: (value: T) => JsonValue | undefined): JsonValue[] | undefined {
  return values.length === 0 ? undefined : values.map((value) => each(value) ?? null);
}

export function placeholderOr<T extends object>(value: T | Placeholder, each: (value: T) => Form | undefined): JsonValue | undefined {
  return isPlaceholder(value) ? value.text : each(value);
}

export function isPlaceholder(value: unknown): value is Placeholder {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "placeholder";
}

export function referenceForm({ scope, target, sessionHash, cas }: SessionReference): Form {
  return form({ [scope]: target, session_hash: sessionHash, ...casForm(cas) });
}

export function casForm(cas: SessionReference["cas"]): { readonly [key: string]: JsonValue | undefined } {
  if (cas === undefined) return {};
  return { cas_url: cas.address, [cas.key.kind === "cas" ? "cas_key" : "cas_software_key"]: cas.key.keyHash };
}
