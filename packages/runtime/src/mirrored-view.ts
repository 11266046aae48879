import { dirname, join } from "node:path";
import { step } from "@vouchsafe/linux";
import type { ContainerFiles } from "./container-files.ts";
import { type LayoutStep, plain } from "./layout.ts";
import { type Binding, moveInto } from "./overlay-view.ts";

/*
 * The private view where the container has no root rights. An overlay would not help there: files of the image belong to a user that the user
 * namespace does not know, so nobody inside may add to their directories. Instead the root is put together anew on a memory file system: a
 * directory that gets something new is made again, with everything that it had bound into it; all others are bound whole.
 */

/** Directories that any image of ours has; one of them holds the view while it is made. */
const WORKSHOPS = ["/mnt", "/srv", "/media", "/opt", "/tmp"];
/** Where programs write by custom: memory, so that nothing of theirs reaches a disk. */
const SCRATCH = ["/tmp", "/var/tmp", "/run"];
/** Bound as they are; nothing can be injected below them. */
const KERNEL = ["/proc", "/sys", "/dev"];

/** What the view needs to hold beside the image. */
export interface ViewChanges {
  /** Paths that are written after the view is there: each of their parents becomes a directory of the view. */
  readonly written: readonly string[];
  readonly bindings: readonly Binding[];
}

/** Builds the view and makes it the root. For the namespaces of `startProgram` without root rights. Throws where the image has no place for it. */
export function mirroredView(files: ContainerFiles, { written, bindings }: ViewChanges): LayoutStep[] {
  const isDirectory = (path: string) => files.status(path)?.kind === "directory";
  const workshop = WORKSHOPS.find(isDirectory);
  if (workshop === undefined) throw new Error(`the image has none of ${WORKSHOPS.join(", ")}`);
  const parents = planParents(written);
  const memory = (target: string, mode: string) => step.mount("view", target, "tmpfs", ["noSetUserId", "noDevices"], `mode=${mode}`);
  const scratch = SCRATCH.filter((path) => path !== workshop && !parents.has(path) && !files.mountPoints.has(path) && isDirectory(path));
  return [
    ...plain(memory(workshop, "0755")),
    ...mirror("", workshop, files, { parents, written: new Set(written), skipped: workshop }),
    ...plain(
      ...scratch.map((path) => memory(join(workshop, path), "1777")),
      step.optional(step.makeDirectory(join(workshop, workshop), 0o755)),
      ...bindings.map(({ source, target }) => step.bind(source, join(workshop, target))),
      ...moveInto(workshop),
    ),
  ];
}

interface MirrorPlan {
  readonly parents: ReadonlySet<string>;
  readonly written: ReadonlySet<string>;
  readonly skipped: string;
}

/** All parents of the paths but the root. */
export function planParents(paths: readonly string[]): ReadonlySet<string> {
  const parents = new Set<string>();
  for (const path of paths)
    for (let parent = dirname(path); parent !== "/" && parent !== "."; parent = dirname(parent)) parents.add(parent);
  return parents;
}

function mirror(directory: string, view: string, files: ContainerFiles, plan: MirrorPlan): LayoutStep[] {
  return files.list(directory === "" ? "/" : directory).flatMap((name) => {
    const source = `${directory}/${name}`;
    const target = join(view, source);
    const status = files.status(source);
    if (source === plan.skipped || status === undefined) return [];
    if (status.kind === "directory") {
      const made = plain(step.makeDirectory(target, status.mode));
      if (plan.parents.has(source) && !KERNEL.includes(source)) return [...made, ...mirror(source, view, files, plan)];
      return [...made, ...plain(step.bind(source, target))];
    }
    if (plan.written.has(source)) return [];
    if (status.kind === "link") return plain(step.makeLink(target, files.readLink(source)));
    return plain(step.makeFile(target), step.bind(source, target));
  });
}
