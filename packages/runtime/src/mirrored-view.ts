import { join } from "node:path";
import { step } from "@vouchsafe/linux";
import type { ContainerFiles } from "./container-files.ts";
import { isInside } from "./inside.ts";
import { type JudgedMounts, KERNEL } from "./judge-mounts.ts";
import { type LayoutStep, plain } from "./layout.ts";
import { type Binding, closeImage, memoryAt, moveInto, scratchOf } from "./overlay-view.ts";
import { planParents } from "./parents.ts";
import { HIDDEN } from "./view-plan.ts";

/*
 * The private view where the container has no root rights. An overlay would not help there: files of the image belong to a user that the user
 * namespace does not know, so nobody inside may add to their directories. Instead the root is put together anew on a memory file system: a
 * directory that gets something new is made again, with everything that it had bound into it; all others are bound whole.
 */

/** Directories that any image of ours has; one of them holds the view while it is made. */
const WORKSHOPS = ["/mnt", "/srv", "/media", "/opt", "/tmp"];
/** What the view needs to hold beside the image. */
export interface ViewChanges {
  /** Paths that are written after the view is there: each of their parents becomes a directory of the view. */
  readonly written: readonly string[];
  readonly bindings: readonly Binding[];
}

/** Builds the view and makes it the root. For the namespaces of `startProgram` without root rights. Throws where the image has no place for it. */
export function mirroredView(files: ContainerFiles, mounts: JudgedMounts, { written, bindings }: ViewChanges): LayoutStep[] {
  const workshop = WORKSHOPS.find(
    (path) => files.status(path)?.kind === "directory" && ![...mounts.shown].some((one) => isInside(one, path)),
  );
  if (workshop === undefined) throw new Error(`the image has none of ${WORKSHOPS.join(", ")}`);
  const memory = mounts.memory.filter((path) => !isInside(path, workshop));
  return [
    ...plain(closeImage(files), memoryAt(workshop, "0755")),
    ...mirror("", workshop, files, { parents: planParents(written), written: new Set(written), left: new Set([workshop, HIDDEN]), memory }),
    ...plain(
      ...scratchOf(workshop, files, { ...mounts, memory }),
      step.optional(step.makeDirectory(join(workshop, workshop), 0o1777)),
      ...bindings.map(({ source, target }) => step.bind(source, join(workshop, target))),
      ...moveInto(workshop),
    ),
  ];
}

interface MirrorPlan {
  readonly parents: ReadonlySet<string>;
  readonly written: ReadonlySet<string>;
  /** No part of the view. */
  readonly left: ReadonlySet<string>;
  readonly memory: readonly string[];
}

function mirror(directory: string, view: string, files: ContainerFiles, plan: MirrorPlan): LayoutStep[] {
  return files.list(directory === "" ? "/" : directory).flatMap((name) => {
    const source = `${directory}/${name}`;
    const target = join(view, source);
    const status = files.status(source);
    if (plan.left.has(source) || status === undefined) return [];
    if (status.kind === "directory") {
      const made = plain(step.makeDirectory(target, status.mode));
      if (plan.memory.some((path) => isInside(source, path))) return made;
      if (plan.parents.has(source) && !KERNEL.includes(source)) return [...made, ...mirror(source, view, files, plan)];
      return [...made, ...plain(step.bind(source, target))];
    }
    if (plan.written.has(source)) return [];
    if (status.kind === "link") return plain(step.makeLink(target, files.readLink(source)));
    return plain(step.makeFile(target), step.bind(source, target));
  });
}
