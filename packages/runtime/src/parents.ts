import { dirname } from "node:path";

/** All parents of the paths but the root. */
export function planParents(paths: readonly string[]): ReadonlySet<string> {
  const parents = new Set<string>();
  for (const path of paths)
    for (let parent = dirname(path); parent !== "/" && parent !== "."; parent = dirname(parent)) parents.add(parent);
  return parents;
}
