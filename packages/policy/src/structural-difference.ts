import type { JsonValue } from "./session.ts";

/** One difference between two normal forms. Secret values are masked (SL-5). */
export interface Difference {
  readonly kind: "added" | "removed" | "changed";
  /** Named entries by name: `services[api].command`. */
  readonly path: string;
  readonly before: JsonValue | undefined;
  readonly after: JsonValue | undefined;
}

const SENSITIVE = new Set(["value", "fspf_key", "service_access_token", "one_time_password_shared_secret", "application_secret"]);

type JsonObject = { readonly [key: string]: JsonValue };

const isObject = (value: JsonValue | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isList = (value: JsonValue | undefined): value is readonly JsonValue[] => Array.isArray(value);

function mask(value: JsonValue | undefined, key: string | undefined): JsonValue | undefined {
  if (value === undefined) return undefined;
  if (key !== undefined && (SENSITIVE.has(key) || (key === "private_key" && typeof value === "string" && value.includes("PRIVATE KEY")))) {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return typeof value === "string" && text.startsWith("$$SCONE::") ? value : `<hidden, ${[...text].length} characters>`;
  }
  if (isList(value)) return value.map((item) => mask(item, undefined) ?? null);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, mask(item, name) ?? null]));
}

/** A copy of a normal form without secret values, for display. */
export function maskSecrets(form: JsonValue): JsonValue {
  return mask(form, undefined) ?? null;
}

/** Structural differences, in the order of the old form and then the new one. Lists whose items have names are compared by name. */
export function structuralDifference(before: JsonValue, after: JsonValue): Difference[] {
  const differences: Difference[] = [];
  compare(before, after, "", undefined, differences);
  return differences;
}

function compare(
  before: JsonValue | undefined,
  after: JsonValue | undefined,
  path: string,
  key: string | undefined,
  into: Difference[],
): void {
  if (JSON.stringify(before) === JSON.stringify(after)) return;
  const isHidden = key !== undefined && SENSITIVE.has(key);
  if (!isHidden && isObject(before) && isObject(after)) {
    for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
      compare(before[name], after[name], path === "" ? name : `${path}.${name}`, name, into);
    }
    return;
  }
  if (!isHidden && isList(before) && isList(after)) {
    const left = byName(before);
    const right = byName(after);
    for (const name of new Set([...left.keys(), ...right.keys()]))
      compare(left.get(name), right.get(name), `${path}[${name}]`, undefined, into);
    return;
  }
  const kind = before === undefined ? "added" : after === undefined ? "removed" : "changed";
  into.push({ kind, path, before: mask(before, key), after: mask(after, key) });
}

/** Items by their `name`, else by position. */
function byName(list: readonly JsonValue[]): Map<string, JsonValue> {
  const named = list.every((item) => isObject(item) && typeof item["name"] === "string");
  return new Map(list.map((item, index) => [named && isObject(item) ? String(item["name"]) : String(index), item]));
}

/** The differences as text, one line each. */
export function renderDifferences(differences: readonly Difference[]): string {
  const marks = { added: "+", removed: "-", changed: "~" } as const;
  return differences
    .map(({ kind, path, before, after }) => {
      const values =
        kind === "added"
          ? JSON.stringify(after)
          : kind === "removed"
            ? JSON.stringify(before)
            : `${JSON.stringify(before)} → ${JSON.stringify(after)}`;
      return `${marks[kind]} ${path}: ${values}\n`;
    })
    .join("");
}
