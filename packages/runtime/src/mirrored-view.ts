import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { bindMount, detachMount, mount, pivotRoot } from "@vouchsafe/linux";
import { parseMountPoints } from "./mount-points.ts";
import { RuntimeError } from "./runtime-error.ts";

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
  /** Files of the image shown at another place. */
  readonly bindings: readonly { readonly source: string; readonly target: string }[];
}

/** Builds the view and makes it the root. Call in the namespaces of `startInUserNamespace`. Throws R-VIEW. */
export function buildMirroredView(changes: ViewChanges): void {
  try {
    const workshop = WORKSHOPS.find((path) => lstatSync(path, { throwIfNoEntry: false })?.isDirectory());
    if (workshop === undefined) throw new Error(`the image has none of ${WORKSHOPS.join(", ")}`);
    const parents = planParents(changes.written);
    const mountPoints = new Set(parseMountPoints(readFileSync("/proc/self/mountinfo", "utf8")).map(({ target }) => target));
    mount({ source: "view", target: workshop, type: "tmpfs", flags: ["noSetUserId", "noDevices"], options: "mode=0755" });
    mirror("", workshop, { parents, written: new Set(changes.written), skipped: new Set([workshop]) });
    for (const path of SCRATCH) {
      const target = join(workshop, path);
      const isKept = parents.has(path) || mountPoints.has(path) || !isDirectory(target);
      if (!isKept) mount({ source: "scratch", target, type: "tmpfs", flags: ["noSetUserId", "noDevices"], options: "mode=1777" });
    }
    mkdirSync(join(workshop, workshop), { recursive: true, mode: 0o755 });
    for (const { source, target } of changes.bindings) bindMount(source, join(workshop, target));
    process.chdir(workshop);
    pivotRoot(".", ".");
    detachMount(".");
    process.chdir("/");
  } catch (cause) {
    throw new RuntimeError("R-VIEW", "the program's view of the file system cannot be made", { cause });
  }
}

interface MirrorPlan {
  readonly parents: ReadonlySet<string>;
  readonly written: ReadonlySet<string>;
  readonly skipped: ReadonlySet<string>;
}

/** All parents of the paths but the root. */
export function planParents(paths: readonly string[]): ReadonlySet<string> {
  const parents = new Set<string>();
  for (const path of paths)
    for (let parent = dirname(path); parent !== "/" && parent !== "."; parent = dirname(parent)) parents.add(parent);
  return parents;
}

function mirror(path: string, view: string, plan: MirrorPlan): void {
  for (const name of readdirSync(path === "" ? "/" : path)) {
    const source = `${path}/${name}`;
    const target = join(view, source);
    if (plan.skipped.has(source)) continue;
    const status = lstatSync(source);
    if (status.isSymbolicLink()) {
      if (plan.written.has(source)) continue;
      symlinkSync(readlinkSync(source), target);
    } else if (status.isDirectory()) {
      mkdirSync(target, { mode: status.mode & 0o7777 });
      if (plan.parents.has(source) && !KERNEL.includes(source)) mirror(source, view, plan);
      else bindMount(source, target);
    } else if (!plan.written.has(source)) {
      writeFileSync(target, "");
      bindMount(source, target);
    }
  }
}

const isDirectory = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
