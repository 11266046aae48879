import type { JsonValue } from "./session.ts";
import type { YamlNode } from "./yaml-document.ts";

/** A tree as JSON. Plain scalars become numbers only when nothing of their text is lost, so that digits of a hash stay text (SL-14). */
export function yamlToJson(node: YamlNode): JsonValue {
  if (node.kind === "list") return node.items.map(yamlToJson);
  if (node.kind === "map") return Object.fromEntries([...node.entries].map(([key, { value }]) => [key, yamlToJson(value)]));
  return node.style === "plain" ? scalarToJson(node.text) : node.text;
}

function scalarToJson(text: string): JsonValue {
  if (/^(?:|~|null|Null|NULL)$/.test(text)) return null;
  if (text === "true" || text === "false") return text === "true";
  return /^-?[0-9][0-9.]{0,14}$/.test(text) && String(Number(text)) === text ? Number(text) : text;
}

/** The tree a JSON value would be read as, every node at the place of `at`; for values that come from secrets instead of the document. */
export function jsonToYaml(value: JsonValue, at: { readonly start: number; readonly end: number }): YamlNode {
  const { start, end } = at;
  const scalar = (text: string, style: "plain" | "double") =>
    ({ kind: "scalar", text, style, tag: undefined, substituted: true, start, end }) as const;
  if (value === null) return { ...scalar("~", "plain"), substituted: false };
  if (typeof value === "string") return scalar(value, "double");
  if (typeof value === "number" || typeof value === "boolean") return scalar(String(value), "plain");
  if (Array.isArray(value)) return { kind: "list", items: value.map((item) => jsonToYaml(item, at)), tag: undefined, start, end };
  const entries = Object.entries(value).map(([key, item]) => [key, { key: scalar(key, "plain"), value: jsonToYaml(item, at) }] as const);
  return { kind: "map", entries: new Map(entries), tag: undefined, start, end };
}
