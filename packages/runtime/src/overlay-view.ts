import { join } from "node:path";
import { type Step, step } from "@vouchsafe/linux";
import type { ContainerFiles } from "./container-files.ts";
import { type LayoutStep, plain, writtenFile } from "./layout.ts";
import { planView, type ViewStep } from "./view-plan.ts";

/*
 * The private view of one program, where the container has root rights. In a mount namespace of its own, a new root in memory is put together from
 * the image: the program sees the image, what the policy injects, and what it writes itself; the container sees none of the latter two. Nothing
 * reaches a disk.
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
export function overlayView(files: ContainerFiles, bindings: readonly Binding[]): LayoutStep[] {
  return [
    ...plain(step.mount("view", WORKSHOP, "tmpfs", ["noSetUserId", "noDevices"], "mode=0755"), step.makeDirectory(ROOT, 0o755)),
    ...planView(files).flatMap((one, index) => viewEntry(one, files, index)),
    ...plain(...bindings.map(({ source, target }) => step.bind(source, join(ROOT, target))), step.bind(ROOT, ROOT), ...moveInto(ROOT)),
  ];
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
