import { type Findings, type Place, SourceText } from "./diagnostic.ts";
import type { ServiceManifest } from "./service-manifest.ts";

const VALUES_TEMPLATE = "values.template";
const CHART_TEMPLATE = "Chart.yaml.template";
const DROPPED = [VALUES_TEMPLATE, CHART_TEMPLATE];

/**
 * A chart of the user (`--helm-template DIR`), as far as the service manifest decides it (manifests section 12.4): `charts/` as it is,
 * `Chart.yaml.template` and `values.template` rendered. What is left of `{{…}}` is filled in when a mesh is applied.
 */
export function userChart(
  files: ReadonlyMap<string, string>,
  manifest: ServiceManifest,
  directory: string,
  findings: Findings,
): ReadonlyMap<string, string> {
  const { environment, build } = manifest;
  const variables = new Map<string, string>([["chartname", build.name.text]]);
  for (const { name, value } of environment.global) if (value !== undefined) variables.set(name, value.text);
  for (const { name, value } of environment.local) variables.set(name, value.text);
  const chart = new Map<string, string>();
  for (const [path, text] of files) {
    const inside = path.startsWith("charts/") ? path.slice("charts/".length) : undefined;
    if (inside !== undefined && !DROPPED.includes(inside)) chart.set(inside, text);
  }
  const render = (path: string): string | undefined => {
    const text = files.get(path);
    return text === undefined ? undefined : renderBuildTemplate(text, `${directory}/${path}`, variables, findings);
  };
  const description = render(CHART_TEMPLATE);
  if (description !== undefined) chart.set("Chart.yaml", description);
  const values = render(VALUES_TEMPLATE);
  if (values !== undefined) chart.set("values.yaml.template", values);
  return chart;
}

const TOKEN = /\{\{([\s\S]*?)\}\}|\{%([\s\S]*?)%\}|\{#[\s\S]*?#\}/g;
const EXPRESSION = /^\s*([A-Za-z_][A-Za-z0-9_.]*)\s*(?:\|\s*default\s*\(\s*value\s*=\s*"((?:[^"\\]|\\.)*)"\s*\)\s*)?$/;
const DEFAULT_START = /\{\{\s*[A-Za-z_][A-Za-z0-9_.]*\s*\|\s*default\s*\(\s*value\s*=\s*"((?:[^"\\]|\\.)*)"\s*\)\s*\}\}/y;

/** The build-time syntax of chart templates: names, names with a default, raw sections. Findings: `E-TPL-SYNTAX`, `E-TPL-UNDEFINED`. */
export function renderBuildTemplate(text: string, file: string, variables: ReadonlyMap<string, string>, findings: Findings): string {
  const source = new SourceText(file, text);
  const placeAt = (start: number, end: number): Place => ({ source, start, end, path: "" });
  let rendered = "";
  let at = 0;
  while (at < text.length) {
    TOKEN.lastIndex = at;
    const token = TOKEN.exec(text);
    if (token === null) break;
    rendered += text.slice(at, token.index);
    // A default may hold placeholders itself, so that the plain pattern would end too early.
    DEFAULT_START.lastIndex = token.index;
    const whole = DEFAULT_START.exec(text)?.[0] ?? token[0];
    at = token.index + whole.length;
    const place = placeAt(token.index, at);
    if (token[2] !== undefined) {
      if (token[2].trim() === "raw") {
        const end = /\{%\s*endraw\s*%\}/g;
        end.lastIndex = at;
        const closing = end.exec(text);
        if (closing === null) {
          findings.add(place, "E-TPL-SYNTAX", "the raw section has no end", { expected: "{% endraw %}" });
          break;
        }
        rendered += text.slice(at, closing.index);
        at = closing.index + closing[0].length;
      } else {
        findings.add(place, "E-TPL-SYNTAX", `the statement {% ${token[2].trim()} %} is not supported`, {
          expected: 'the supported forms {{NAME}}, {{NAME | default(value="text")}} and {% raw %}…{% endraw %}',
        });
      }
    } else if (whole.startsWith("{{")) rendered += expression(whole.slice(2, -2), place, variables, findings);
  }
  return rendered + text.slice(at);
}

function expression(inside: string, place: Place, variables: ReadonlyMap<string, string>, findings: Findings): string {
  const match = EXPRESSION.exec(inside);
  if (match?.[1] === undefined) {
    findings.add(place, "E-TPL-SYNTAX", `the expression {{${inside}}} is not supported`, {
      expected: 'the supported forms {{NAME}} and {{NAME | default(value="text")}}',
    });
    return "";
  }
  const value = variables.get(match[1]) ?? match[2]?.replace(/\\(.)/g, "$1");
  if (value === undefined) {
    const { line } = place.source.position(place.start);
    findings.add(place, "E-TPL-UNDEFINED", `the name ${match[1]} has no value in ${place.source.file}, line ${line}`, {
      expected: "a name of environment.local, one of environment.global with a default, or a default here",
    });
  }
  return value ?? "";
}
