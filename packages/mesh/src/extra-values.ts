import { Findings, type Place } from "./diagnostic.ts";
import { type FieldReader, readText, shortText } from "./manifest-reader.ts";
import { type ManifestNode, type MappingNode, parseManifestYaml } from "./manifest-yaml.ts";
import { isPlainMapping, type PlainMapping, type PlainValue, plainMapping } from "./plain-value.ts";

/** `helm_extra_values`: values for the umbrella chart by service, alias or `global` (manifests section 5.7). */
export interface ExtraValues {
  readonly values: PlainMapping;
  /** Where each top-level key stands. */
  readonly places: ReadonlyMap<string, Place>;
}

export function readExtraValues(fields: FieldReader, findings: Findings): ExtraValues {
  const node = fields.node("helm_extra_values");
  if (node === undefined) return { values: {}, places: new Map() };
  if (node.kind === "list") return readAssignments(node.items, node.at, findings);
  if (node.kind === "mapping") return fromMapping(node);
  const inner = new Findings();
  const parsed = parseManifestYaml(node.text, node.at.source.file, inner);
  if (parsed?.kind === "mapping") return { values: plainMapping(parsed), places: new Map(parsed.entries.map(({ key }) => [key, node.at])) };
  const problem = inner.list()[0];
  findings.add(node.at, "E-EXTRA-VALUES", `the text is no YAML mapping${problem === undefined ? "" : `: YAML error: ${problem.message}`}`, {
    expected: "YAML of a mapping",
  });
  return { values: {}, places: new Map() };
}

function fromMapping(node: MappingNode): ExtraValues {
  return { values: plainMapping(node), places: new Map(node.entries.map(({ key, keyAt }) => [key, keyAt])) };
}

/** The historical form: `path=value`, as for `helm --set`. */
function readAssignments(items: readonly ManifestNode[], at: Place, findings: Findings): ExtraValues {
  const places = new Map<string, Place>();
  let values: PlainMapping = {};
  for (const item of items) {
    const text = readText(item, findings);
    const match = text === undefined ? null : /^([^=\s]+)=(.*)$/s.exec(text.text);
    const path = match?.[1] === undefined ? undefined : splitPath(match[1]);
    const first = path?.[0];
    if (text === undefined || match === null || path === undefined || typeof first !== "string") {
      findings.add(item.at ?? at, "E-EXTRA-VALUES", `${shortText(text?.text ?? "")} is no assignment`, { expected: "path=value" });
      continue;
    }
    places.set(first, item.at);
    const set = setAt(values, path, scalar(match[2] ?? ""));
    if (isPlainMapping(set)) values = set;
  }
  return { values, places };
}

function splitPath(text: string): (string | number)[] | undefined {
  const path: (string | number)[] = [];
  for (const part of text.split(/(?<!\\)\./)) {
    const match = /^([^[\]]+)((?:\[\d{1,4}\])*)$/.exec(part);
    if (match?.[1] === undefined) return undefined;
    path.push(match[1].replaceAll("\\.", "."), ...[...(match[2] ?? "").matchAll(/\d+/g)].map(([digits]) => Number(digits)));
  }
  return path;
}

function setAt(target: PlainValue | undefined, path: readonly (string | number)[], value: PlainValue): PlainValue {
  const [head, ...rest] = path;
  if (head === undefined) return value;
  if (typeof head === "number") {
    const list = Array.isArray(target) ? [...target] : [];
    while (list.length <= head) list.push(null);
    list[head] = setAt(list[head] ?? undefined, rest, value);
    return list;
  }
  const mapping = new Map(isPlainMapping(target) ? Object.entries(target) : []);
  mapping.set(head, setAt(mapping.get(head), rest, value));
  return Object.fromEntries(mapping);
}

const scalar = (text: string): PlainValue =>
  text === "true" || text === "false"
    ? text === "true"
    : text === "null"
      ? null
      : /^(?:0|-?[1-9]\d{0,14})$/.test(text)
        ? Number(text)
        : text;
