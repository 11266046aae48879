import type { Findings, Place } from "./diagnostic.ts";
import type { ManifestNode } from "./manifest-yaml.ts";
import { splitPlaceholders } from "./placeholder.ts";
import type { PlainValue } from "./plain-value.ts";
import type { VariableScope } from "./variable-scope.ts";

/**
 * Replaces the placeholders of a parsed template. A value can never change the structure of the document (MF-17): it is put into the parsed
 * scalar. Only the platform's own lists and mappings take the place of a whole scalar.
 */
export function renderNode(node: ManifestNode, scope: VariableScope, findings: Findings): ManifestNode | undefined {
  if (node.kind === "list") {
    const items = node.items.map((item) => renderNode(item, scope, findings));
    return items.includes(undefined) ? undefined : { ...node, items: items.filter((item) => item !== undefined) };
  }
  if (node.kind === "mapping") {
    const entries = node.entries.map(({ key, keyAt, value }) => {
      const renderedKey = key.includes("{{") ? scope.render({ text: key, at: keyAt }, findings) : key;
      const rendered = renderNode(value, scope, findings);
      return renderedKey === undefined || rendered === undefined ? undefined : { key: renderedKey, keyAt, value: rendered };
    });
    return entries.includes(undefined) ? undefined : { ...node, entries: entries.filter((entry) => entry !== undefined) };
  }
  if (!node.text.includes("{{")) return node;
  const parts = splitPlaceholders(node, findings);
  const only = parts.length === 1 ? parts[0] : undefined;
  if (only !== undefined && typeof only !== "string") {
    const entry = scope.entry(only.name);
    if (entry?.kind === "structure") {
      scope.used.set(only.name, node.at);
      return fromPlainValue(entry.value, node.at);
    }
  }
  const text = scope.render(node, findings);
  if (text === undefined) return undefined;
  const block = only !== undefined && typeof only !== "string" ? blockValue(text) : undefined;
  if (block !== undefined) return { ...node, text: block, style: "block" };
  // An empty or null-like value stays a text; only what the manifest itself leaves empty is absent.
  return { ...node, text, style: node.style === "plain" && /^(?:|~|null|Null|NULL)$/.test(text) ? "quoted" : node.style };
}

/** A value as nodes that all stand at one place. */
export function fromPlainValue(value: PlainValue, at: Place): ManifestNode {
  if (Array.isArray(value)) return { kind: "list", items: value.map((item: PlainValue) => fromPlainValue(item, at)), at };
  if (typeof value === "object" && value !== null) {
    return {
      kind: "mapping",
      entries: Object.entries(value).map(([key, item]) => ({ key, keyAt: at, value: fromPlainValue(item, at) })),
      at,
    };
  }
  if (typeof value === "string") return { kind: "scalar", text: value, style: "quoted", at };
  return { kind: "scalar", text: value === null ? "" : String(value), style: "plain", at };
}

/** MF-22: a variable's value that is itself a block scalar, header line and body. Undefined if it is none. */
export function blockValue(text: string): string | undefined {
  const match = /^([|>])([-+]?)([1-9]?)([-+]?)[ \t]*\n([\s\S]*)$/.exec(text);
  if (match === null) return undefined;
  const chomping = match[2] || match[4] || "";
  const lines = (match[5] ?? "").split("\n");
  const indentation = Math.min(...lines.filter((line) => line.trim() !== "").map((line) => line.length - line.trimStart().length), 1000);
  const body = lines.map((line) => line.slice(Math.min(indentation, line.length - line.trimStart().length))).join("\n");
  const folded = match[1] === ">" ? body.replace(/([^\n])\n(?=[^\n ])/g, "$1 ") : body;
  if (chomping === "+") return folded.endsWith("\n") ? folded : `${folded}\n`;
  const stripped = folded.replace(/\n+$/, "");
  return chomping === "-" || stripped === "" ? stripped : `${stripped}\n`;
}

/** `{{#if NAME}}…{{/if}}`: the body stays where `holds` says so, and the whole where it does not know the name. Only emptiness decides, so that no value changes a structure (MF-17). */
export const expandConditions = (text: string, holds: (name: string) => boolean | undefined): string =>
  text.replace(
    /[ \t]*\{\{#if ([A-Za-z_][A-Za-z0-9_]*)\}\}[ \t]*\n?([\s\S]*?)\{\{\/if\}\}[ \t]*\n?/g,
    (found, name: string, body: string) => {
      const held = holds(name);
      if (held === undefined) return found;
      return held ? body : "";
    },
  );

/**
 * `{{#each LIST}}…{{/each}}` and `{{#if LIST}}…{{/if}}` of policy templates (MF-98): the body is repeated for each item, its names becoming
 * those of the item (`{{name}}` → `{{LIST.0.name}}`), so that values are still put in after parsing.
 */
export function expandBlocks(
  text: string,
  lists: ReadonlyMap<string, readonly PlainValue[]>,
): { text: string; constants: Map<string, PlainValue> } {
  const constants = new Map<string, PlainValue>();
  const withoutIf = expandConditions(text, (name) => {
    const list = lists.get(name);
    return list === undefined ? undefined : list.length > 0;
  });
  const expanded = withoutIf.replace(
    /[ \t]*\{\{#each ([a-z_]+)\}\}[ \t]*\n?([\s\S]*?)[ \t]*\{\{\/each\}\}[ \t]*\n?/g,
    (found, name: string, body: string) => {
      const list = lists.get(name);
      if (list === undefined) return found;
      return list
        .map((item, index) => {
          const fields = typeof item === "object" && item !== null && !Array.isArray(item) ? Object.entries(item) : [];
          constants.set(`${name}.${index}`, item);
          for (const [key, value] of fields) constants.set(`${name}.${index}.${key}`, value);
          const names = new Set(fields.map(([key]) => key));
          return body.replace(/\{\{[ \t]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*\}\}/g, (placeholder, used: string) =>
            used === "this" ? `{{${name}.${index}}}` : names.has(used) ? `{{${name}.${index}.${used}}}` : placeholder,
          );
        })
        .join("");
    },
  );
  return { text: expanded, constants };
}
