import { open } from "node:fs/promises";
import { isElf } from "./elf.ts";
import { renderLauncher } from "./launcher.ts";
import type { LayerEntry } from "./layer.ts";

/** Where diverted programs lie; below it their usual path is repeated. */
export const DIVERSION_DIRECTORY = "/vouchsafe/program";

/** Libraries must be readable to be loaded; the loader itself is executed by the kernel. */
const isLibrary = (path: string): boolean => /\.so(?:\.[^/]*)?$/.test(path) && !/\/ld-[^/]*\.so\.\d+$/.test(path);

async function readStart(entry: Extract<LayerEntry, { kind: "file" }>): Promise<Uint8Array> {
  if (entry.content instanceof Uint8Array) return entry.content.subarray(0, 64);
  const file = await open(entry.content.source);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(64), 0, 64, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/**
 * Gives all files the modes of a protected image: programs 0711 (a process that executes a file which it may not read is not dumpable, so its
 * memory and environment stay closed to its own user), scripts 0755, everything else 0644.
 */
export async function protectExecutables(entries: readonly LayerEntry[]): Promise<LayerEntry[]> {
  return Promise.all(
    entries.map(async (entry) => {
      if (entry.kind === "directory") return { ...entry, mode: (entry.mode & 0o1000) === 0 ? 0o755 : 0o1777 };
      if (entry.kind !== "file") return entry;
      if ((entry.mode & 0o111) === 0 || isLibrary(entry.path)) return { ...entry, mode: 0o644 };
      return { ...entry, mode: isElf(await readStart(entry)) ? 0o711 : 0o755 };
    }),
  );
}

/** Puts the launcher at the paths of programs, and the programs out of the way (MF-68). */
export function divert(entries: readonly LayerEntry[], paths: readonly string[]): LayerEntry[] {
  const made = new Set<string>();
  const diverted = entries.flatMap((entry): LayerEntry[] => {
    if (entry.kind !== "file" || !paths.includes(entry.path)) return [entry];
    const original = `${DIVERSION_DIRECTORY}${entry.path}`;
    for (let at = original.lastIndexOf("/"); at > 0; at = original.lastIndexOf("/", at - 1)) made.add(original.slice(0, at));
    return [
      { ...entry, path: original },
      { kind: "file", path: entry.path, mode: 0o711, content: renderLauncher() },
    ];
  });
  return [...diverted, ...[...made].map((path): LayerEntry => ({ kind: "directory", path, mode: 0o755 }))];
}

/** Where a command's first word is searched in our images. */
export const SEARCH_PATH: readonly string[] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

const LINK_LIMIT = 40;

/** Follows links in a set of files as the kernel would; undefined where nothing is. */
export function resolvePath(path: string, links: ReadonlyMap<string, string>): string | undefined {
  let pending = path.split("/").filter((part) => part !== "" && part !== ".");
  let inside = "";
  for (let followed = 0; ; ) {
    const part = pending.shift();
    if (part === undefined) return inside === "" ? "/" : inside;
    if (part === "..") {
      inside = inside.slice(0, Math.max(0, inside.lastIndexOf("/")));
      continue;
    }
    const next = `${inside}/${part}`;
    const target = links.get(next);
    if (target === undefined) {
      inside = next;
      continue;
    }
    if (++followed > LINK_LIMIT) return undefined;
    if (target.startsWith("/")) inside = "";
    pending = [...target.split("/").filter((one) => one !== "" && one !== "."), ...pending];
  }
}

/** The file that a command's first word names, all links followed; undefined if there is none. */
export function findProgram(
  word: string,
  workingDirectory: string,
  files: ReadonlySet<string>,
  links: ReadonlyMap<string, string>,
): string | undefined {
  const candidates = word.includes("/")
    ? [word.startsWith("/") ? word : `${workingDirectory}/${word}`]
    : SEARCH_PATH.map((directory) => `${directory}/${word}`);
  for (const candidate of candidates) {
    const resolved = resolvePath(candidate, links);
    if (resolved !== undefined && files.has(resolved)) return resolved;
  }
  return undefined;
}
