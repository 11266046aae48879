import type { SessionSource } from "./parse-session.ts";
import type { Position } from "./source-text.ts";
import type { YamlNode } from "./yaml-document.ts";

/** Keys and list indices from the root of a document, or from a part of it. */
export type FieldPath = readonly (string | number)[];

/** Where a field stands, or the nearest mapping around the place where it would stand. */
export interface LocatedField extends Position {
  readonly file: string;
  /** The field as one writes it: `services[0].attestation[1].mrenclave`. */
  readonly path: string;
  /** False for a field that the document leaves to its default. */
  readonly isWritten: boolean;
}

/** A field of a session's document. */
export function locateField({ source, root }: SessionSource, path: FieldPath): LocatedField {
  const { key, isWhole } = findField(root, path);
  return { ...source.position(key.start), file: source.file, path: fieldPathText(path), isWritten: isWhole };
}

/**
 * Where a service's own field stands, and the session's of the same name where there is one of both (`security`). Nothing for a service that the
 * document does not define.
 */
export function locateServiceField(document: SessionSource, service: string, path: FieldPath): readonly LocatedField[] {
  const position = servicePosition(document.root, service);
  if (position === undefined) return [];
  const own = locateField(document, ["services", position, ...path]);
  if (path[0] !== "security") return [own];
  const hasOwnSection = findField(document.root, ["services", position, "security"]).isWhole;
  return [...(hasOwnSection ? [own] : []), locateField(document, path)];
}

export const fieldPathText = (path: FieldPath): string =>
  path
    .map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`))
    .join("")
    .replace(/^\./, "");

/** The key and the value that a path leads to, as far as it leads. A single item stands for a list of one. */
export function findField(
  root: YamlNode,
  path: FieldPath,
): { readonly key: YamlNode; readonly value: YamlNode; readonly isWhole: boolean } {
  let [key, value] = [root, root];
  for (const step of path) {
    const entry = value.kind === "map" ? value.entries.get(String(step)) : undefined;
    const item = value.kind === "list" && typeof step === "number" ? value.items[step] : undefined;
    if (entry !== undefined) [key, value] = [entry.key, entry.value];
    else if (item !== undefined) [key, value] = [item, item];
    else if (step !== 0 || value.kind === "list") return { key, value, isWhole: false };
  }
  return { key, value, isWhole: true };
}

function servicePosition(root: YamlNode, name: string): number | undefined {
  const { value, isWhole } = findField(root, ["services"]);
  if (!isWhole || value.kind !== "list") return undefined;
  const position = value.items.findIndex((item) => {
    const found = findField(item, ["name"]);
    return found.isWhole && found.value.kind === "scalar" && found.value.text === name;
  });
  return position < 0 ? undefined : position;
}
