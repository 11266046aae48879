import {
  chmodSync,
  chownSync,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { TreeEntry } from "@vouchsafe/fileshield";
import { bindMount, detachMount, makeMountsPrivate, mount, pivotRoot, unshare } from "@vouchsafe/linux";
import { type MountPoint, parseMountPoints } from "./mount-points.ts";
import { RuntimeError } from "./runtime-error.ts";

/*
 * The private view of one program. In a mount namespace of its own, a memory file system is laid over the container's root: the program sees
 * the image, what the policy injects, and what it writes itself; the container sees none of the latter two. Nothing reaches a disk.
 */

/** Any directory that every image has: the view is put together on a memory file system there. */
const WORKSHOP = "/vouchsafe";

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

/** Mount points that must be carried over one by one; what lies below one of them comes with it. */
export function topMountPoints(mountPoints: readonly MountPoint[]): readonly string[] {
  const targets = [...new Set(mountPoints.map(({ target }) => target))].filter((target) => target !== "/" && target !== WORKSHOP);
  return targets.filter((target) => !targets.some((other) => other !== target && target.startsWith(`${other}/`)));
}

/**
 * Lays a writable memory layer over the root and makes it the root. `bindings` put a file of the image at another place of the view.
 * Call after `enterPrivateNamespace`.
 */
export function buildView(bindings: readonly { readonly source: string; readonly target: string }[]): void {
  try {
    const mountPoints = topMountPoints(parseMountPoints(readFileSync("/proc/self/mountinfo", "utf8")));
    mount({ source: "view", target: WORKSHOP, type: "tmpfs", flags: ["noSetUserId", "noDevices"], options: "mode=0755" });
    const [upper, work, root] = ["upper", "work", "root"].map((name) => join(WORKSHOP, name)) as [string, string, string];
    for (const directory of [upper, work, root]) mkdirSync(directory);
    mount({
      source: "view",
      target: root,
      type: "overlay",
      flags: ["noSetUserId", "noDevices"],
      options: `lowerdir=/,upperdir=${upper},workdir=${work}`,
    });
    for (const target of mountPoints) {
      bindMount(target, join(root, target));
    }
    // The sources lie below the workshop in the old root, and are reached through the lower layer of the new one.
    for (const { source, target } of bindings) bindMount(join(root, source), join(root, target));
    process.chdir(root);
    pivotRoot(".", ".");
    detachMount(".");
    process.chdir("/");
  } catch (cause) {
    throw cause instanceof RuntimeError
      ? cause
      : new RuntimeError("R-VIEW", "the program's view of the file system cannot be made", { cause });
  }
}

/** Makes a directory with its parents; those that exist stay as they are. */
function makeDirectories(path: string, mode = 0o755): void {
  mkdirSync(path, { recursive: true, mode });
}

/** Writes the decrypted tree into the view. Everything belongs to root and can be read by the program, as copied files of any image. */
export function writeTree(entries: readonly TreeEntry[]): void {
  for (const entry of entries) {
    makeDirectories(dirname(entry.path));
    if (entry.kind === "directory") {
      makeDirectories(entry.path);
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
    makeDirectories(dirname(path));
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
    throw new RuntimeError("R-VIEW", `file ${path} cannot be injected`, {
      cause,
      remedy: "Choose a path that is no directory and not below /proc, /sys or /dev.",
    });
  }
}

/** A file of its own file system is a mount point: `/etc/resolv.conf` and its like in containers. */
function isMountPoint(path: string): boolean {
  return statSync(path).dev !== statSync(dirname(path)).dev;
}
