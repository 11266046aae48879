import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { KubernetesError } from "../kubernetes-error.ts";

/** Names of a snapshot's files, as the CAS of a cluster gives them (C-77). */
export const SNAPSHOT_FILES = ["cas.db", "cas.key-store"] as const;
/** The key of the platform that made the snapshot, where its owner keeps it: without a TEE it is a file too. */
export const PLATFORM_KEY_FILE = "platform.key";

export interface Snapshot {
  readonly directory: string;
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Of all files: 16 hex digits. */
  readonly fingerprint: string;
}

const FILE_MAX_BYTES = 2 ** 31;
const SQLITE_HEADER = "SQLite format 3\0";

/** Complete snapshots among the names in a CAS's snapshot directory, the newest last: names begin with the time. */
export const completeSnapshots = (names: readonly string[]): readonly string[] =>
  names.filter((name) => /^\d{4}-\d{2}-\d{2}T[0-9A-Za-z.-]+$/.test(name) && !name.endsWith(".part")).toSorted();

/** Reads a snapshot from a directory, or the newest one of a directory of snapshots. Throws E-SNAPSHOT with what is missing or is no such file. */
export async function readSnapshot(given: string): Promise<Snapshot> {
  const names = await readdir(given).catch((cause: unknown) => {
    throw new KubernetesError("E-SNAPSHOT", `${given} cannot be read`, { cause, remedy: "Name a directory that --local-backup made." });
  });
  const newest = completeSnapshots(names).at(-1);
  const directory = names.includes(SNAPSHOT_FILES[0]) || newest === undefined ? given : join(given, newest);
  const files = new Map<string, Uint8Array>();
  for (const name of SNAPSHOT_FILES) files.set(name, await readPart(directory, name));
  const database = files.get("cas.db");
  if (database === undefined || Buffer.from(database.subarray(0, SQLITE_HEADER.length)).toString("latin1") !== SQLITE_HEADER)
    throw new KubernetesError("E-SNAPSHOT", `${join(directory, "cas.db")} is no database of a CAS`);
  if (names.includes(PLATFORM_KEY_FILE)) files.set(PLATFORM_KEY_FILE, await readPart(directory, PLATFORM_KEY_FILE));
  const hash = createHash("sha256");
  for (const [name, bytes] of files) hash.update(`${name} ${bytes.length}\n`).update(bytes);
  return { directory, files, fingerprint: hash.digest("hex").slice(0, 16) };
}

async function readPart(directory: string, name: string): Promise<Uint8Array> {
  const bytes = await readFile(join(directory, name)).catch((cause: unknown) => {
    throw new KubernetesError("E-SNAPSHOT", `${directory} holds no ${name}`, {
      cause,
      remedy: "A snapshot is a pair of cas.db and cas.key-store that belong together: take both from one directory.",
    });
  });
  if (bytes.length === 0 || bytes.length > FILE_MAX_BYTES)
    throw new KubernetesError("E-SNAPSHOT", `${join(directory, name)} has ${bytes.length} bytes, 1 to ${FILE_MAX_BYTES} are expected`);
  return bytes;
}
