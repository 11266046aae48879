import { dirname } from "node:path";

/** What lies at a path of the container's root. */
export type EntryKind = "directory" | "link" | "file" | "other";

/** One step of building the view below the new root. `path` is absolute in both roots. */
export type ViewStep =
  /** A directory of the image under a writable layer in memory. */
  | { readonly kind: "overlay"; readonly path: string }
  /** A mount of the container, taken over with everything below it. */
  | { readonly kind: "mount"; readonly path: string; readonly isDirectory: boolean }
  /** A directory that holds mounts somewhere below: made anew in memory, its entries follow. */
  | { readonly kind: "directory"; readonly path: string }
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "link"; readonly path: string };

export interface ContainerFiles {
  readonly list: (directory: string) => readonly string[];
  readonly kindOf: (path: string) => EntryKind;
}

/** Our own directory is no part of the program's view: it would find the launcher and ciphertext there. */
const HIDDEN = "/vouchsafe";

/**
 * Decides how the view is put together. The kernel lays nothing over a directory that has locked mounts below (those that were made outside of this
 * user namespace: all of a container's), so such directories are rebuilt entry by entry; all others get an overlay.
 * `mountPoints`: targets of the mounts of this namespace.
 */
export function planView(mountPoints: readonly string[], files: ContainerFiles): readonly ViewStep[] {
  const isMount = new Set(mountPoints);
  const holdsMount = new Set<string>();
  for (const target of mountPoints) for (let at = dirname(target); at !== "/"; at = dirname(at)) holdsMount.add(at);
  const steps: ViewStep[] = [];
  const visit = (directory: string): void => {
    for (const name of [...files.list(directory)].sort()) {
      const path = directory === "/" ? `/${name}` : `${directory}/${name}`;
      if (path === HIDDEN) continue;
      const kind = files.kindOf(path);
      if (kind === "link") steps.push({ kind, path });
      else if (isMount.has(path)) steps.push({ kind: "mount", path, isDirectory: kind === "directory" });
      else if (kind === "file") steps.push({ kind, path });
      else if (kind === "directory" && holdsMount.has(path)) {
        steps.push({ kind, path });
        visit(path);
      } else if (kind === "directory") steps.push({ kind: "overlay", path });
    }
  };
  visit("/");
  return steps;
}
