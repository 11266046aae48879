import {
  chmodSync,
  chownSync,
  closeSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { TreeEntry } from "@vouchsafe/fileshield";
import { bindMount, detachMount, makeMountsPrivate, mount, pivotRoot, unshare } from "@vouchsafe/linux";
import { parseMountPoints } from "./mount-points.ts";
import { RuntimeError } from "./runtime-error.ts";
import { type EntryKind, planView, type ViewStep } from "./view-plan.ts";

/*
 * The private view of one program. In a mount namespace of its own, a new root in memory is put together from the image: the program sees the image,
 * what the policy injects, and what it writes itself; the container sees none of the latter two. Nothing reaches a disk.
 */

/** A directory that every image of ours has, and that is read before: the view is put together on a memory file system over it. */
const WORKSHOP = "/vouchsafe/mesh";

/** Moves into a new mount namespace whose changes nobody else sees. Throws R-VIEW where the kernel forbids it. */
export function enterPrivateNamespace(): void {
  try {
    unshare("mount");
    makeMountsPrivate();
  } catch (cause) {
    throw new RuntimeError("R-VIEW", "a private mount namespace is not allowed here", {
      cause,
      remedy: "Allow unshare and mount: on Kubernetes the node agent installs a seccomp profile for it; see docs/platforms.md.",
    });
  }
}

/**
 * Builds the view and makes it the root. `bindings` put a file of the image at another place of the view.
 * Call after `enterPrivateNamespace`. Throws R-VIEW.
 */
export function buildView(bindings: readonly { readonly source: string; readonly target: string }[]): void {
  try {
    const mountPoints = parseMountPoints(readFileSync("/proc/self/mountinfo", "utf8")).map(({ target }) => target);
    const steps = planView(mountPoints, { list: (directory) => readdirSync(directory), kindOf });
    mount({ source: "view", target: WORKSHOP, type: "tmpfs", flags: ["noSetUserId", "noDevices"], options: "mode=0755" });
    const root = join(WORKSHOP, "root");
    mkdirSync(root, 0o755);
    for (const [index, step] of steps.entries()) perform(step, root, index);
    for (const { source, target } of bindings) bindMount(source, join(root, target));
    bindMount(root, root);
    process.chdir(root);
    pivotRoot(".", ".");
    detachMount(".");
    process.chdir("/");
  } catch (cause) {
    throw new RuntimeError("R-VIEW", "the program's view of the file system cannot be made", { cause });
  }
}

function kindOf(path: string): EntryKind {
  const status = lstatSync(path);
  if (status.isSymbolicLink()) return "link";
  if (status.isDirectory()) return "directory";
  return status.isFile() ? "file" : "other";
}

/** Makes a directory with the owner and mode that the image gives to `like`. */
function makeDirectoryLike(directory: string, like: string): void {
  mkdirSync(directory);
  const { uid, gid, mode } = statSync(like);
  chownSync(directory, uid, gid);
  chmodSync(directory, mode & 0o7777);
}

function perform(step: ViewStep, root: string, index: number): void {
  const { path } = step;
  const target = join(root, path);
  if (step.kind === "link") symlinkSync(readlinkSync(path), target);
  else if (step.kind === "file")
    copyFileSync(path, target); // few and small: what lies beside the container's name service files
  else if (step.kind === "directory") makeDirectoryLike(target, path);
  else if (step.kind === "mount") {
    if (step.isDirectory) mkdirSync(target);
    else closeSync(openSync(target, "w"));
    bindMount(path, target);
  } else {
    const [upper, work] = [`${WORKSHOP}/upper${index}`, `${WORKSHOP}/work${index}`];
    mkdirSync(target);
    makeDirectoryLike(upper, path);
    mkdirSync(work);
    // A comma or a colon would end the option: such a directory is shown as it is, read-only or not.
    if (/[,:\\]/.test(path)) bindMount(path, target);
    else
      mount({
        source: "view",
        target,
        type: "overlay",
        flags: ["noSetUserId", "noDevices"],
        options: `lowerdir=${path},upperdir=${upper},workdir=${work}`,
      });
  }
}

/** Writes the decrypted tree into the view. Everything belongs to root and can be read by the program, as copied files of any image. */
export function writeTree(entries: readonly TreeEntry[]): void {
  for (const entry of entries) {
    mkdirSync(dirname(entry.path), { recursive: true, mode: 0o755 });
    if (entry.kind === "directory") {
      mkdirSync(entry.path, { recursive: true });
      chmodSync(entry.path, entry.mode);
    } else if (entry.kind === "link") {
      symlinkSync(entry.target, entry.path);
    } else {
      writeFileSync(entry.path, entry.bytes, { mode: entry.mode });
      chmodSync(entry.path, entry.mode);
    }
  }
}

export interface InjectedFile {
  readonly path: string;
  readonly content: Uint8Array;
  readonly permission: number;
}

/** Writes an injected file for its owner; what the image or a mount has at that path is hidden in this view. */
export function writeInjectedFile(
  { path, content, permission }: InjectedFile,
  owner: { readonly uid: number; readonly gid: number },
): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    const existing = lstatSync(path, { throwIfNoEntry: false });
    if (existing !== undefined && isMountPoint(path)) detachMount(path);
    const file = openSync(path, "w", 0o600);
    try {
      writeFileSync(file, content);
    } finally {
      closeSync(file);
    }
    chownSync(path, owner.uid, owner.gid);
    chmodSync(path, permission);
  } catch (cause) {
    const remedy = "Choose a path that is no directory and not below /proc, /sys or /dev.";
    throw new RuntimeError("R-VIEW", `file ${path} cannot be injected`, { cause, remedy });
  }
}

/** A file of its own file system is a mount point: `/etc/resolv.conf` and its like in containers. */
function isMountPoint(path: string): boolean {
  return statSync(path).dev !== statSync(dirname(path)).dev;
}
