import type { Reporter } from "./reporter.ts";
import { rangeInScalar, type ScalarNode, type YamlNode } from "./yaml-document.ts";

/** `-e VAR=VALUE` and, with `--use-env`, the environment; the former wins (SL-24). */
export type TemplateVariables = ReadonlyMap<string, string>;

const VARIABLE = /\$\$|(\\?)\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})/g;

/** Replaces `$NAME` and `${NAME}` in all scalar values, never in keys (SL-23…SL-27); reports variables without a value. */
export function substituteVariables(node: YamlNode, variables: TemplateVariables, reporter: Reporter, path = ""): YamlNode {
  if (node.kind === "list") {
    return { ...node, items: node.items.map((item, index) => substituteVariables(item, variables, reporter, `${path}[${index}]`)) };
  }
  if (node.kind === "map") {
    const entries = [...node.entries].map(([name, { key, value }]) => {
      const at = path === "" ? name : `${path}.${name}`;
      return [name, { key, value: substituteVariables(value, variables, reporter, at) }] as const;
    });
    return { ...node, entries: new Map(entries) };
  }
  return node.text.includes("$") ? substituteScalar(node, variables, reporter, path) : node;
}

function substituteScalar(node: ScalarNode, variables: TemplateVariables, reporter: Reporter, path: string): ScalarNode {
  let changed = false;
  const text = node.text.replace(
    VARIABLE,
    (match: string, backslash: string | undefined, plain: string | undefined, braced: string | undefined, offset: number) => {
      const name = plain ?? braced;
      if (name === undefined) return match; // $$ is always literal (SL-26)
      changed = true;
      if (backslash === "\\") return match.slice(1);
      const value = variables.get(name);
      if (value !== undefined) return value;
      reporter.report({
        rule: "SL-25",
        range: reporter.isFull ? node : rangeInScalar(reporter.source, node, offset, match),
        path,
        message: `variable $${name} has no value`,
        expected: `-e ${name}=… or --use-env`,
        hint: `write \`\\$${name}\` if the text is meant`,
      });
      return match;
    },
  );
  if (!changed) return node;
  if (text === "~" && /^\$(?:[A-Za-z_][A-Za-z0-9_]*|\{[A-Za-z_][A-Za-z0-9_]*\})$/.test(node.text)) {
    return { ...node, text, style: "plain" }; // null (SL-27)
  }
  return { ...node, text, style: "double", substituted: true };
}
