import { createHash } from "node:crypto";
import { copyFile, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { decodeListing, encodeListing } from "@vouchsafe/fileshield";
import { z } from "zod";
import { Descriptor } from "./descriptor.ts";
import type { Layer, LayerEntry, LayerOptions } from "./layer.ts";
import { writeLayer } from "./layer.ts";
import type { LocalRepository } from "./local-repository.ts";

/** Raised whenever the same inputs would now give another layer. */
const BUILDER_VERSION = 1;

const LayerRecord = z.strictObject({ descriptor: Descriptor, diffId: z.string(), listing: z.string() });

/** Key of something that is made from `inputs` alone. */
export const cacheKey = (inputs: unknown): string =>
  createHash("sha256")
    .update(JSON.stringify([BUILDER_VERSION, process.arch, inputs]))
    .digest("hex");

/** Writes a file so that readers see all of it or nothing. */
export async function writeWhole(path: string, text: string, mode = 0o644): Promise<void> {
  const temporary = `${path}.${process.pid}.new`;
  await writeFile(temporary, text, { mode });
  await rename(temporary, path);
}

const recordFile = (cacheDir: string, key: string): string => join(cacheDir, "layers", `${key}.json`);

/** Lets a layer be found under another key as well: other inputs that are known to give the same. */
export async function aliasLayer(cacheDir: string, key: string, other: string): Promise<void> {
  await copyFile(recordFile(cacheDir, key), recordFile(cacheDir, other));
}

async function findLayer(repository: LocalRepository, file: string): Promise<Layer | undefined> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch {
    return undefined; // not built yet
  }
  const record = LayerRecord.safeParse(JSON.parse(text));
  if (!record.success || (await repository.blobs.findSize(record.data.descriptor.digest)) !== record.data.descriptor.size) return undefined;
  const { descriptor, diffId, listing } = record.data;
  let files: Layer["files"] | undefined;
  return {
    descriptor,
    diffId,
    // Decoded only where somebody asks: an unchanged build does not.
    get files() {
      files ??= decodeListing(Uint8Array.fromBase64(listing));
      return files;
    },
  };
}

/** The layer that an earlier build made from the same inputs, or a new one. A cache that was deleted costs time only. */
export async function obtainLayer(
  cacheDir: string,
  repository: LocalRepository,
  key: string,
  options: LayerOptions,
  makeEntries: () => Promise<readonly LayerEntry[]>,
): Promise<{ layer: Layer; cached: boolean }> {
  const file = recordFile(cacheDir, key);
  const found = await findLayer(repository, file);
  if (found !== undefined) return { layer: found, cached: true };
  const layer = await writeLayer(repository, await makeEntries(), options);
  await mkdir(join(cacheDir, "layers"), { recursive: true });
  const record = { descriptor: layer.descriptor, diffId: layer.diffId, listing: encodeListing(layer.files).toBase64() };
  await writeWhole(file, JSON.stringify(record));
  return { layer, cached: false };
}
