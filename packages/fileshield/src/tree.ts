import { FileshieldError } from "./fileshield-error.ts";

export interface TreeFile {
  readonly kind: "file";
  readonly path: string;
  /** Permission bits, 0 to 0o777. */
  readonly mode: number;
  readonly bytes: Uint8Array;
}
export interface TreeDirectory {
  readonly kind: "directory";
  readonly path: string;
  readonly mode: number;
}
export interface TreeLink {
  readonly kind: "link";
  readonly path: string;
  readonly target: string;
}
export type TreeEntry = TreeFile | TreeDirectory | TreeLink;

export const PATH_MAX_BYTES = 4096;
const NAME_MAX_BYTES = 255;

/** Sorts by the bytes of the path, the one order that every format of this package uses. */
export function comparePaths(left: { readonly path: string }, right: { readonly path: string }): number {
  return Buffer.compare(Buffer.from(left.path), Buffer.from(right.path));
}

/** Why `path` is not the one spelling of an absolute path, or undefined. */
export function findPathFault(path: string): string | undefined {
  if (!path.startsWith("/")) return "is not absolute";
  if (!path.isWellFormed()) return "is not valid Unicode";
  if (path.includes("\0")) return "holds a NUL";
  if (Buffer.byteLength(path) > PATH_MAX_BYTES) return `is longer than ${PATH_MAX_BYTES} bytes`;
  if (path === "/") return undefined;
  for (const name of path.slice(1).split("/")) {
    if (name === "" || name === "." || name === "..") return "is not normalized";
    if (Buffer.byteLength(name) > NAME_MAX_BYTES) return `has a name of more than ${NAME_MAX_BYTES} bytes`;
  }
  return undefined;
}

/**
 * Checks that the sorted entries can be laid out one after the other: each path once, and nothing below a file or a link (so that writing the
 * tree can never be led elsewhere).
 */
export function findTreeFault(sorted: readonly { readonly kind: string; readonly path: string }[]): string | undefined {
  const kinds = new Map<string, string>();
  for (const { kind, path } of sorted) {
    const fault = findPathFault(path);
    if (fault !== undefined) return `path ${JSON.stringify(path)} ${fault}`;
    if (path === "/" && kind !== "directory") return "path / is not a directory";
    if (kinds.has(path)) return `path ${JSON.stringify(path)} occurs twice`;
    kinds.set(path, kind);
  }
  for (const path of kinds.keys()) {
    for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) {
      const parent = path.slice(0, at);
      const kind = kinds.get(parent);
      if (kind !== undefined && kind !== "directory")
        return `path ${JSON.stringify(path)} lies below the ${kind} ${JSON.stringify(parent)}`;
    }
  }
  return undefined;
}

/** The entries in canonical order; throws FSPF_ENTRY where they are no tree. */
export function sortTree<Entry extends { readonly kind: string; readonly path: string }>(entries: readonly Entry[]): Entry[] {
  const sorted = [...entries].sort(comparePaths);
  const fault = findTreeFault(sorted);
  if (fault !== undefined) throw new FileshieldError("FSPF_ENTRY", fault);
  return sorted;
}
