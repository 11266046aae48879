import { createHash } from "node:crypto";
import { lstat, readdir, readFile, readlink, realpath, stat } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { blobDirectory, encryptTree, type Region, type TreeEntry } from "@vouchsafe/fileshield";
import { ImageError } from "./image-error.ts";
import type { LayerEntry } from "./layer.ts";
import { CODE_PROTECTION_FILE } from "./metadata.ts";
import type { CopySource } from "./plan.ts";

/** Never copied from inside a directory: none is part of a program, and the last two hold keys (MF-53). */
const SKIPPED = new Set([".git", "target", "release.sh"]);
const FILE_LIMIT = 100_000;

/** Mode of a copied file: what the user may execute, the program may; nothing else of the builder's mode counts (MF-61). */
const modeOf = (mode: number): number => ((mode & 0o100) === 0 ? 0o644 : 0o755);

async function readCopy(source: string, target: string, allowedRoot: string, into: TreeEntry[]): Promise<void> {
  if (into.length > FILE_LIMIT)
    throw new ImageError("E-COPY-MISSING", `copy brings more than ${FILE_LIMIT} files`, { field: "build.copy" });
  const status = await lstat(source).catch((cause: unknown) => {
    throw new ImageError("E-COPY-MISSING", `${source} does not exist`, {
      cause,
      field: "build.copy",
      remedy: "Paths in copy are relative to the current directory; patterns are not allowed.",
    });
  });
  if (status.isSymbolicLink()) {
    // Followed if it stays inside; what lies outside of the project must not slip into an image.
    const resolved = await realpath(source).catch(() => undefined);
    const path = resolved === undefined ? ".." : relative(allowedRoot, resolved);
    if (resolved === undefined || path === ".." || path.startsWith(`..${sep}`)) {
      throw new ImageError("E-PATH-OUTSIDE", `${source} is a link to ${await readlink(source)}, outside of ${allowedRoot}`, {
        field: "build.copy",
      });
    }
    if ((await stat(resolved)).isFile())
      into.push({ kind: "file", path: target, mode: modeOf((await stat(resolved)).mode), bytes: await readFile(resolved) });
    else if (!`${source}${sep}`.startsWith(`${resolved}${sep}`)) await readCopy(resolved, target, allowedRoot, into);
    return;
  }
  if (status.isFile()) {
    into.push({ kind: "file", path: target, mode: modeOf(status.mode), bytes: await readFile(source) });
    return;
  }
  if (!status.isDirectory()) return; // sockets, FIFOs and devices are no part of a program
  into.push({ kind: "directory", path: target, mode: 0o755 });
  for (const name of (await readdir(source)).sort())
    if (!SKIPPED.has(name)) await readCopy(join(source, name), `${target}/${name}`, allowedRoot, into);
}

/** Everything that `copy` brings, with its parent directories. `directory`: where links must stay inside. */
export async function readCopies(copies: readonly CopySource[], directory: string): Promise<TreeEntry[]> {
  const root = await realpath(directory);
  const entries: TreeEntry[] = [];
  for (const { source, target } of copies) await readCopy(source, target, root, entries);
  const byPath = new Map<string, TreeEntry>();
  for (const entry of entries) {
    for (let at = entry.path.lastIndexOf("/"); at > 0; at = entry.path.lastIndexOf("/", at - 1)) {
      const parent = entry.path.slice(0, at);
      if (!byPath.has(parent)) byPath.set(parent, { kind: "directory", path: parent, mode: 0o755 });
    }
    byPath.set(entry.path, entry);
  }
  return [...byPath.values()];
}

/** A digest of what was copied: path, mode and content of each file. */
export function digestCopies(entries: readonly TreeEntry[]): string {
  const hash = createHash("sha256");
  for (const entry of [...entries].sort((left, right) => (left.path < right.path ? -1 : 1))) {
    hash.update(JSON.stringify([entry.kind, entry.path, entry.kind === "link" ? entry.target : entry.mode]));
    if (entry.kind === "file") hash.update(createHash("sha256").update(entry.bytes).digest());
  }
  return hash.digest("hex");
}

/** What an encrypted tree looks like in a layer. The working directory is there, and empty: programs and probes may rely on its existence. */
export function encryptedLayerEntries(
  entries: readonly TreeEntry[],
  key: Uint8Array,
  regions: readonly Region[],
): { entries: LayerEntry[]; tag: string } {
  const { protectionFile, blobs, tag } = encryptTree(entries, key, { regions });
  const directory = blobDirectory(CODE_PROTECTION_FILE);
  const layer: LayerEntry[] = [
    { kind: "directory", path: "/vouchsafe", mode: 0o755 },
    { kind: "directory", path: directory, mode: 0o755 },
    { kind: "file", path: CODE_PROTECTION_FILE, mode: 0o644, content: protectionFile },
    ...[...blobs].map(([name, content]): LayerEntry => ({ kind: "file", path: `${directory}/${name}`, mode: 0o644, content })),
  ];
  return { entries: layer, tag };
}

/** The same files in clear, for `encrypt: false`. */
export const plainLayerEntries = (entries: readonly TreeEntry[]): LayerEntry[] =>
  entries.map((entry): LayerEntry => {
    if (entry.kind === "file") return { kind: "file", path: entry.path, mode: entry.mode, content: entry.bytes };
    return entry;
  });
