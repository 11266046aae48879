import { lstatSync, readdirSync, readFileSync, readlinkSync, realpathSync, type Stats } from "node:fs";
import { type Mount, parseMountTable } from "./mount-table.ts";

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
  /** The mounts of this mount namespace. */
  readonly mounts: readonly Mount[];
  list(directory: string): readonly string[];
  /** Of the entry itself, not of what a link points to; undefined where there is none, or none that this user can reach. */
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
    mounts: parseMountTable(readFileSync("/proc/self/mountinfo", "utf8")),
    list: (directory) => readdirSync(directory),
    status: (path) => {
      const status = statusOrUndefined(path);
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

/** The program's user is that of this process, or less: what is closed here is closed to the program. */
function statusOrUndefined(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EACCES") return undefined;
    throw error;
  }
}
