import { lstatSync, readdirSync, readFileSync, readlinkSync, realpathSync } from "node:fs";
import { parseMountPoints } from "./mount-points.ts";

/** What lies at a path of the container's root. */
export type EntryKind = "directory" | "link" | "file" | "other";

export interface EntryStatus {
  readonly kind: EntryKind;
  readonly uid: number;
  readonly gid: number;
  /** Permission bits, with set-user-ID, set-group-ID and sticky bit. */
  readonly mode: number;
}

/** The container's files as the view is planned from them: the image, and what the container runtime mounted into it. */
export interface ContainerFiles {
  /** Targets of the mounts of this mount namespace. */
  readonly mountPoints: ReadonlySet<string>;
  list(directory: string): readonly string[];
  /** Of the entry itself, not of what a link points to; undefined where there is none. */
  status(path: string): EntryStatus | undefined;
  readLink(path: string): string;
  /** Content of a file; links are followed. Throws as `readFileSync`. */
  read(path: string): Uint8Array;
  /** The path without links in it; undefined where nothing is there. */
  resolve(path: string): string | undefined;
}

/** The files of the container that this process runs in. */
export function ownContainerFiles(): ContainerFiles {
  return {
    mountPoints: new Set(parseMountPoints(readFileSync("/proc/self/mountinfo", "utf8"))),
    list: (directory) => readdirSync(directory),
    status: (path) => {
      const status = lstatSync(path, { throwIfNoEntry: false });
      if (status === undefined) return undefined;
      const kind = status.isSymbolicLink() ? "link" : status.isDirectory() ? "directory" : status.isFile() ? "file" : "other";
      return { kind, uid: status.uid, gid: status.gid, mode: status.mode & 0o7777 };
    },
    readLink: (path) => readlinkSync(path),
    read: (path) => readFileSync(path),
    resolve: (path) => {
      try {
        return realpathSync(path);
      } catch {
        return undefined;
      }
    },
  };
}
