import { join } from "node:path";
import { type Step, step } from "@vouchsafe/linux";
import type { ContainerFiles } from "./container-files.ts";
import { isInside } from "./inside.ts";
import type { JudgedMounts } from "./judge-mounts.ts";
import { type LayoutStep, plain, writtenFile } from "./layout.ts";
import { planParents } from "./parents.ts";
import { planView, type ViewStep } from "./view-plan.ts";

/*
 * The private view of one program, where the container has root rights. In a mount namespace of its own, a new root in memory is put together from
 * the image: the program sees the image, what the policy injects, and what it writes itself; the container sees none of the latter two. Nothing
 * reaches a disk, except in mounts that the image asked for (`judge-mounts.ts`).
 */

/** A directory that every image of ours has, and that is read before: the view is put together on a memory file system over it. */
const WORKSHOP = "/vouchsafe/mesh";
const ROOT = `${WORKSHOP}/root`;

/** A file of the image that is shown at another place of the view. */
export interface Binding {
  readonly source: string;
  readonly target: string;
}

/** Builds the view and makes it the root. For a mount namespace of the process's own. */
export function overlayView(files: ContainerFiles, mounts: JudgedMounts, bindings: readonly Binding[]): LayoutStep[] {
  return [
    ...plain(closeImage(files), memoryAt(WORKSHOP, "0755"), step.makeDirectory(ROOT, 0o755)),
    ...planView(files, mounts).flatMap((one, index) => viewEntry(one, files, index)),
    ...plain(
      ...scratchOf(ROOT, files, mounts),
      ...bindings.map(({ source, target }) => step.bind(source, join(ROOT, target))),
      step.bind(ROOT, ROOT),
      ...moveInto(ROOT),
    ),
  ];
}

/** Nothing of what is shown of the image can be written to from now on: its writable layer, too, lies in clear on the node. */
export function closeImage({ mounts }: Pick<ContainerFiles, "mounts">): Step {
  const options = mounts.find(({ target }) => target === "/")?.options;
  // In a user namespace none of them may be taken away.
  const kept = (
    [
      ["nosuid", "noSetUserId"],
      ["nodev", "noDevices"],
      ["noexec", "noExecute"],
    ] as const
  ).filter(([name]) => options?.has(name));
  return step.mount("none", "/", "", ["remount", "bind", "readOnly", ...kept.map(([, flag]) => flag)]);
}

export const memoryAt = (target: string, mode: string): Step =>
  step.mount("view", target, "tmpfs", ["noSetUserId", "noDevices"], `mode=${mode}`);

/** Memory of the program's own over what the view shows so far, and in it those mounts that the program is to see. */
export function scratchOf(root: string, files: Pick<ContainerFiles, "status">, { shown, memory }: JudgedMounts): Step[] {
  const parentOf = (path: string) => memory.find((parent) => parent !== path && isInside(path, parent));
  const missing = (path: string, above: string) =>
    [...planParents([path])].filter((parent) => parent !== above && isInside(parent, above)).sort();
  const directories = (paths: readonly string[], mode: number) =>
    paths.map((path) => step.optional(step.makeDirectory(join(root, path), mode)));
  const places = memory.flatMap((path) => {
    const above = parentOf(path);
    if (above === undefined) return [memoryAt(join(root, path), "1777")];
    return [...directories(missing(path, above), 0o755), ...directories([path], 0o1777)];
  });
  const taken = [...shown].sort().flatMap((path) => {
    const above = parentOf(path);
    if (above === undefined) return [];
    const isDirectory = files.status(path)?.kind === "directory";
    const place = isDirectory ? directories([path], 0o755) : [step.optional(step.makeFile(join(root, path)))];
    return [...directories(missing(path, above), 0o755), ...place, step.bind(path, join(root, path))];
  });
  return [...places, ...taken];
}

/** Makes the mount point the root and leaves nothing of the old one. */
export function moveInto(root: string): Step[] {
  return [step.changeDirectory(root), step.pivotHere(), step.detach("."), step.changeDirectory("/")];
}

function viewEntry(one: ViewStep, files: ContainerFiles, index: number): LayoutStep[] {
  const { path } = one;
  const target = join(ROOT, path);
  switch (one.kind) {
    case "link":
      return plain(step.makeLink(target, files.readLink(path)));
    case "file":
      // Few and small: what lies beside the container's name service files.
      return writtenFile(target, files.read(path), files.status(path)?.mode ?? 0);
    case "scratch":
      return plain(step.makeDirectory(target, 0o755));
    case "directory":
      return plain(...directoryLike(target, path, files));
    case "mount":
      return plain(one.isDirectory ? step.makeDirectory(target, 0o755) : step.makeFile(target), step.bind(path, target));
    case "overlay": {
      const [upper, work] = [`${WORKSHOP}/upper${index}`, `${WORKSHOP}/work${index}`];
      // A comma or a colon would end the option: such a directory is shown as it is, read-only or not.
      if (/[,:\\]/.test(path)) return plain(step.makeDirectory(target, 0o755), step.bind(path, target));
      const options = `lowerdir=${path},upperdir=${upper},workdir=${work}`;
      return plain(
        step.makeDirectory(target, 0o755),
        ...directoryLike(upper, path, files),
        step.makeDirectory(work, 0o755),
        step.mount("view", target, "overlay", ["noSetUserId", "noDevices"], options),
      );
    }
  }
}

/** A directory with the owner and mode that the image gives to `like`. */
function directoryLike(directory: string, like: string, files: ContainerFiles): Step[] {
  const { uid, gid, mode } = files.status(like) ?? { uid: 0, gid: 0, mode: 0o755 };
  return [step.makeDirectory(directory, 0o755), step.changeOwner(directory, uid, gid), step.changeMode(directory, mode)];
}
