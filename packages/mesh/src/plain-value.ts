import type { ManifestNode, MappingNode } from "./manifest-yaml.ts";

/** A value without positions, as it is written into policies and chart values. */
export type PlainValue = null | boolean | number | string | readonly PlainValue[] | { readonly [key: string]: PlainValue };
export type PlainMapping = { readonly [key: string]: PlainValue };

export const isPlainMapping = (value: PlainValue | undefined): value is PlainMapping =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * A node as a value. Plain scalars become booleans, integers and null where YAML 1.2 says so (and where their text comes back unchanged); all
 * others stay texts, so that `1.10` and `0644` keep their form.
 */
export function toPlainValue(node: ManifestNode): PlainValue {
  if (node.kind === "list") return node.items.map(toPlainValue);
  if (node.kind === "mapping") return plainMapping(node);
  if (node.style !== "plain") return node.text;
  if (/^(?:|~|null)$/.test(node.text)) return null;
  if (node.text === "true" || node.text === "false") return node.text === "true";
  return /^(?:0|-?[1-9]\d{0,14})$/.test(node.text) ? Number(node.text) : node.text;
}

export const plainMapping = (node: MappingNode): PlainMapping =>
  Object.fromEntries(node.entries.map(({ key, value }) => [key, toPlainValue(value)])); // own keys, also for __proto__

/** Deep merge as Helm does it: mappings are joined, everything else is replaced. */
export function mergeValues(base: PlainMapping, over: PlainMapping): PlainMapping {
  const merged = new Map<string, PlainValue>(Object.entries(base));
  for (const [key, value] of Object.entries(over)) {
    const before = merged.get(key);
    merged.set(key, isPlainMapping(before) && isPlainMapping(value) ? mergeValues(before, value) : value);
  }
  return Object.fromEntries(merged);
}
