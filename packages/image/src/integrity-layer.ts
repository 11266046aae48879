import { createHash } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeListing, findRegion, type ListedFile, type Region, type TreeEntry } from "@vouchsafe/fileshield";
import { z } from "zod";
import { findProgram, SEARCH_PATH } from "./executables.ts";
import { ImageError } from "./image-error.ts";
import type { Layer } from "./layer.ts";
import { cacheKey, obtainLayer, writeWhole } from "./layer-cache.ts";
import type { LocalRepository } from "./local-repository.ts";
import type { BuildPlan } from "./plan.ts";

/** Parts of the view that are not the image's: mounts, name service files, the runtime itself. */
const OPEN_PATHS = [
  ...["/dev", "/etc/hostname", "/etc/hosts", "/etc/mtab", "/etc/resolv.conf", "/home", "/media", "/mnt"],
  ...["/proc", "/root", "/run", "/sys", "/tmp", "/var", "/vouchsafe"],
];
/** Where the list of the integrity-protected files lies; its SHA-256 is in the protection file and in the metadata. */
export const LISTING_FILE = "/vouchsafe/regions/root.list";

const IntegrityRecord = z.strictObject({ encrypted: z.array(z.string()), digest: z.string(), hasProgram: z.boolean() });
type IntegrityRecord = z.infer<typeof IntegrityRecord>;

export interface Integrity {
  readonly regions: readonly Region[];
  readonly layer: Layer;
  /** Whether the command's program is in the layers below the user's files. */
  readonly hasProgram: boolean;
}

/** Regions that hold the user's files: the working directory where it is the program's own, otherwise just what was copied. */
function encryptedPaths(plan: BuildPlan, files: ReadonlyMap<string, ListedFile>): string[] {
  if (!plan.encrypt || plan.copy.length === 0) return [];
  const inside = `${plan.workingDirectory}/`;
  const isOwn = plan.workingDirectory !== "/" && ![...files.keys()].some((path) => path.startsWith(inside));
  const targets = plan.copy.map(({ target }) => target).filter((target) => !isOwn || !target.startsWith(inside));
  return [...new Set([...(isOwn ? [plan.workingDirectory] : []), ...targets])].sort();
}

/** Everything is integrity-protected (MF-58), except what is open by nature or by the manifest, and the encrypted code. */
function planRegions(encrypted: readonly string[], unprotected: readonly string[]): Region[] {
  const open = [...new Set([...OPEN_PATHS, ...unprotected])].filter((path) => !encrypted.includes(path));
  return [
    { path: "/", protection: "authenticated" },
    ...open.map((path): Region => ({ path, protection: "not-protected" })),
    ...encrypted.map((path): Region => ({ path, protection: "encrypted" })),
  ];
}

const linksOf = (files: Iterable<ListedFile | TreeEntry>): Map<string, string> =>
  new Map([...files].flatMap((file): [string, string][] => (file.kind === "link" ? [[file.path, file.target]] : [])));

/** Regions of an image and the layer with the list of its protected files, for the layers below the user's; made once for each set of layers. */
export async function obtainIntegrity(
  cacheDir: string,
  repository: LocalRepository,
  plan: BuildPlan,
  below: readonly Layer[],
): Promise<Integrity> {
  const unprotected = plan.unprotectedPaths ?? [];
  const [word = ""] = plan.command;
  const targets = plan.copy.map(({ target }) => target);
  const diffIds = below.map(({ diffId }) => diffId);
  const key = cacheKey(["integrity", diffIds, plan.encrypt, targets, plan.workingDirectory, unprotected, OPEN_PATHS, word]);
  const recordFile = join(cacheDir, "layers", `${key}.regions`);
  let made: IntegrityRecord | undefined;
  const { layer } = await obtainLayer(cacheDir, repository, key, { level: 12 }, async () => {
    // Later layers win.
    const files = new Map(below.flatMap((one) => one.files.map((file): [string, ListedFile] => [file.path, file])));
    const encrypted = encryptedPaths(plan, files);
    const regions = planRegions(encrypted, unprotected);
    const listing = encodeListing([...files.values()].filter(({ path }) => findRegion(regions, path)?.path === "/"));
    const hasProgram = findProgram(word, plan.workingDirectory, new Set(files.keys()), linksOf(files.values())) !== undefined;
    made = { encrypted, digest: createHash("sha256").update(listing).digest("hex"), hasProgram };
    await mkdir(join(cacheDir, "layers"), { recursive: true });
    await writeWhole(recordFile, JSON.stringify(made));
    return [
      { kind: "directory", path: "/vouchsafe/regions", mode: 0o755 },
      { kind: "file", path: LISTING_FILE, mode: 0o644, content: listing },
    ];
  });
  const record = made ?? IntegrityRecord.parse(JSON.parse(await readFile(recordFile, "utf8")));
  const digest = Uint8Array.fromHex(record.digest);
  const regions = planRegions(record.encrypted, unprotected).map((region) => (region.path === "/" ? { ...region, digest } : region));
  return { regions, layer, hasProgram: record.hasProgram };
}

/** The command's program must be among the copied files if no layer below has it. Throws E-BINARY. */
export function assertCopiedProgram(plan: BuildPlan, copies: readonly TreeEntry[]): void {
  const [word = ""] = plan.command;
  if (/\{\{|\$\$SCONE::/.test(word)) return; // known only when the mesh is applied
  const files = new Set(copies.flatMap(({ kind, path }) => (kind === "file" ? [path] : [])));
  if (findProgram(word, plan.workingDirectory, files, linksOf(copies)) !== undefined) return;
  throw new ImageError(
    "E-BINARY",
    `the program ${JSON.stringify(word)} of the command is not in the image (searched in ${SEARCH_PATH.join(":")})`,
    {
      field: "build.command",
      remedy: "Name a program of the base, of the requirements, or a copied file with its path.",
    },
  );
}
