import { createHash } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeListing, findRegion, type ListedFile, type Region, type TreeEntry } from "@vouchsafe/fileshield";
import { z } from "zod";
import { digestCopies } from "./code-layer.ts";
import { findProgram, SEARCH_PATH } from "./executables.ts";
import { ImageError } from "./image-error.ts";
import type { Layer, LayerEntry } from "./layer.ts";
import { cacheKey, obtainLayer, writeWhole } from "./layer-cache.ts";
import type { LocalRepository } from "./local-repository.ts";
import type { BuildPlan } from "./plan.ts";
import { type ProtectionRule, protectionOfCode, refuseEncryptionOfPublicFiles } from "./protection.ts";

/** Parts of the view that are not the image's: mounts, name service files, the runtime itself. */
const OPEN_PATHS = [
  ...["/dev", "/etc/hostname", "/etc/hosts", "/etc/mtab", "/etc/resolv.conf", "/home", "/media", "/mnt"],
  ...["/proc", "/root", "/run", "/sys", "/tmp", "/var", "/vouchsafe"],
];
/** Where the list of the integrity-protected files lies; its SHA-256 is in the protection file and in the metadata. */
export const LISTING_FILE = "/vouchsafe/regions/root.list";
/** The same for a region of its own that a manifest asks for below an open path, by its place among them. */
const listingFile = (region: Region, index: number): string => (region.path === "/" ? LISTING_FILE : `/vouchsafe/regions/${index}.list`);

const IntegrityRecord = z.strictObject({
  encrypted: z.array(z.string()),
  /** SHA-256 of the list of each protected region, by path. */
  digests: z.record(z.string(), z.string()),
  hasProgram: z.boolean(),
});
type IntegrityRecord = z.infer<typeof IntegrityRecord>;

export interface Integrity {
  readonly regions: readonly Region[];
  readonly layer: Layer;
  /** Whether the command's program is in the layers below the user's files. */
  readonly hasProgram: boolean;
}

/** What an image consists of beside its metadata. */
export interface ImageContent {
  /** Layers below the user's files. */
  readonly below: readonly Layer[];
  /** Files of the user that stay in clear. */
  readonly plain: readonly TreeEntry[];
  /** Files and directories in which the user's files lie. */
  readonly targets: readonly string[];
}

/** Regions that hold the user's files: the working directory where it is the program's own, otherwise just what was copied. */
function encryptedPaths(plan: BuildPlan, placed: readonly string[], files: ReadonlyMap<string, ListedFile>): string[] {
  if (!plan.encrypt || placed.length === 0) return [];
  const inside = `${plan.workingDirectory}/`;
  const isOwn = plan.workingDirectory !== "/" && ![...files.keys()].some((path) => path.startsWith(inside));
  const targets = placed.filter((target) => !isOwn || !target.startsWith(inside));
  const paths = [...(isOwn ? [plan.workingDirectory] : []), ...targets];
  return [...new Set(paths)].filter((path) => protectionOfCode(plan, path) === "encrypted").sort();
}

/** Everything is integrity-protected (MF-58), except what is open by nature or by the manifest, and the encrypted code. */
function planRegions(encrypted: readonly string[], rules: readonly ProtectionRule[]): Region[] {
  const regions = new Map<string, Region>();
  const add = (path: string, protection: Region["protection"]) => regions.set(path, { path, protection });
  add("/", "authenticated");
  for (const path of OPEN_PATHS) add(path, "not-protected");
  for (const path of encrypted) add(path, "encrypted");
  for (const { path, protection } of rules) add(path, protection);
  return [...regions.values()];
}

const listedFile = (entry: TreeEntry): [string, ListedFile][] => {
  if (entry.kind === "link") return [[entry.path, entry]];
  if (entry.kind === "directory") return [];
  const { path, mode, bytes } = entry;
  const digest = new Uint8Array(createHash("sha256").update(bytes).digest());
  return [[path, { kind: "file", path, mode, size: bytes.length, digest }]];
};

const linksOf = (files: Iterable<ListedFile | TreeEntry>): Map<string, string> =>
  new Map([...files].flatMap((file): [string, string][] => (file.kind === "link" ? [[file.path, file.target]] : [])));

/**
 * Regions of an image and the layer with the list of its protected files: those of the layers below the user's, and the user's own that stay in clear;
 * made once for each set of them. Throws E-BUILD-FIELD where the manifest asks to encrypt what is public.
 */
export async function obtainIntegrity(
  cacheDir: string,
  repository: LocalRepository,
  plan: BuildPlan,
  { below, plain, targets }: ImageContent,
): Promise<Integrity> {
  const rules = plan.protection ?? [];
  const [word = ""] = plan.command;
  const diffIds = below.map(({ diffId }) => diffId);
  const shape = [plan.encrypt, targets, plan.workingDirectory, rules, OPEN_PATHS, word];
  const key = cacheKey(["integrity by region", diffIds, digestCopies(plain), ...shape]);
  const recordFile = join(cacheDir, "layers", `${key}.regions`);
  let made: IntegrityRecord | undefined;
  const { layer } = await obtainLayer(cacheDir, repository, key, { level: 12 }, async () => {
    // Later layers win.
    const files = new Map(below.flatMap((one) => one.files.map((file): [string, ListedFile] => [file.path, file])));
    refuseEncryptionOfPublicFiles(plan, files.keys());
    const encrypted = encryptedPaths(plan, targets, files);
    const regions = planRegions(encrypted, rules);
    const all = new Map([...files, ...plain.flatMap(listedFile)]);
    const listings = regions
      .filter(({ protection }) => protection === "authenticated")
      .map((region, index) => {
        const listed = [...all.values()].filter(({ path }) => findRegion(regions, path)?.path === region.path);
        return { region, file: listingFile(region, index), content: encodeListing(listed) };
      });
    const hasProgram = findProgram(word, plan.workingDirectory, new Set(files.keys()), linksOf(files.values())) !== undefined;
    const digests = Object.fromEntries(
      listings.map(({ region, content }) => [region.path, createHash("sha256").update(content).digest("hex")]),
    );
    made = { encrypted, digests, hasProgram };
    await mkdir(join(cacheDir, "layers"), { recursive: true });
    await writeWhole(recordFile, JSON.stringify(made));
    return [
      { kind: "directory", path: "/vouchsafe/regions", mode: 0o755 },
      ...listings.map(({ file, content }): LayerEntry => ({ kind: "file", path: file, mode: 0o644, content })),
    ];
  });
  const record = made ?? IntegrityRecord.parse(JSON.parse(await readFile(recordFile, "utf8")));
  const regions = planRegions(record.encrypted, rules).map((region) => {
    const digest = record.digests[region.path];
    return digest === undefined ? region : { ...region, digest: Uint8Array.fromHex(digest) };
  });
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
