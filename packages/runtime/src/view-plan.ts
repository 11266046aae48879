import { dirname } from "node:path";
import type { ContainerFiles } from "./container-files.ts";
import type { JudgedMounts } from "./judge-mounts.ts";

/** One step of building the view below the new root. `path` is absolute in both roots. */
export type ViewStep =
  /** A directory of the image under a writable layer in memory. */
  | { readonly kind: "overlay"; readonly path: string }
  /** A mount of the container, taken over with everything below it. */
  | { readonly kind: "mount"; readonly path: string; readonly isDirectory: boolean }
  /** A directory that becomes memory of the program's own: nothing of it is taken over. */
  | { readonly kind: "scratch"; readonly path: string }
  /** A directory that holds mounts somewhere below: made anew in memory, its entries follow. */
  | { readonly kind: "directory"; readonly path: string }
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "link"; readonly path: string };

/** Our own directory is no part of the program's view: it would find the launcher and ciphertext there. */
export const HIDDEN = "/vouchsafe";

/**
 * Decides how the view is put together. The kernel lays nothing over a directory that has locked mounts below (those that were made outside of this
 * user namespace: all of a container's), so such directories are rebuilt entry by entry; all others get an overlay.
 */
export function planView(files: Pick<ContainerFiles, "list" | "status" | "mounts">, { shown, memory }: JudgedMounts): readonly ViewStep[] {
  const holdsMount = new Set<string>();
  for (const { target } of files.mounts) for (let at = dirname(target); at !== "/"; at = dirname(at)) holdsMount.add(at);
  const steps: ViewStep[] = [];
  const visit = (directory: string): void => {
    for (const name of [...files.list(directory)].sort()) {
      const path = directory === "/" ? `/${name}` : `${directory}/${name}`;
      if (path === HIDDEN) continue;
      const kind = files.status(path)?.kind;
      if (kind === "link") steps.push({ kind, path });
      else if (shown.has(path)) steps.push({ kind: "mount", path, isDirectory: kind === "directory" });
      else if (kind === "directory" && memory.includes(path)) steps.push({ kind: "scratch", path });
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
