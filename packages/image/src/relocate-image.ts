import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Descriptor, MEDIA_TYPES } from "./descriptor.ts";
import { ImageError } from "./image-error.ts";
import { readLayerEntries, writeLayer } from "./layer.ts";
import type { LocalRepository } from "./local-repository.ts";
import { METADATA_LABEL } from "./metadata.ts";
import { METADATA_ANNOTATION, metadataEntries, renderServiceJson } from "./metadata-layer.ts";
import { findMetadataLayer, readImageMetadata } from "./read-metadata.ts";
import { obtainSigningKey } from "./signing.ts";
import { unpackImage } from "./unpack.ts";

/** How the copy of an image differs from it (`repo` of a mesh, manifests section 5.6). */
export interface Relocation {
  /** Reference of the copy, with a tag. */
  readonly target: string;
  /** Leave out policy, secrets, environment and chart of the metadata directory: they are for meshes, not for running. */
  readonly strip: boolean;
  /** Merge all layers but that of the metadata into one. */
  readonly squash: boolean;
  /** Signs the metadata of a stripped copy (PEM, RSA 3072, e = 3); made if absent. */
  readonly signingKeyFile: string;
}

interface StackedLayer {
  readonly descriptor: Descriptor;
  readonly diffId: string;
}

/**
 * Makes a copy of an image in the local repository under another name. What a start needs stays: a stripped copy keeps `service.json`, signed anew.
 * Deterministic. Returns the digest of the copy. Throws E-IMAGE-PULL, E-META-SIGNATURE, E-SIGN-KEY, E-IMAGE-LAYER.
 */
export async function relocateImage(repository: LocalRepository, reference: string, relocation: Relocation): Promise<string> {
  const image = await repository.read(reference);
  if (image === undefined) throw new ImageError("E-IMAGE-PULL", `image ${reference} is not in ${repository.directory}`);
  const { manifest, config } = image;
  const described = findMetadataLayer(image);
  const stack = manifest.layers.map((descriptor, index): StackedLayer => ({ descriptor, diffId: config.rootfs.diff_ids[index] ?? "" }));
  const metadata = stack.find(({ descriptor }) => descriptor === described);
  const others = stack.filter((layer) => layer !== metadata);
  const stripped = relocation.strip && metadata !== undefined ? await strippedMetadata(repository, reference, relocation) : undefined;
  const below = relocation.squash && others.length > 1 ? [await squash(repository, reference)] : others;
  const layers = [...below, ...(stripped === undefined ? (metadata === undefined ? [] : [metadata]) : [stripped.layer])];
  const labels = { ...config.config?.Labels, ...(stripped === undefined ? {} : { [METADATA_LABEL]: stripped.label }) };
  const copiedConfig = await repository.putDocument(MEDIA_TYPES.config, {
    ...config,
    config: { ...config.config, Labels: labels },
    rootfs: { ...config.rootfs, diff_ids: layers.map(({ diffId }) => diffId) },
  });
  const copied = await repository.putDocument(MEDIA_TYPES.manifest, {
    ...manifest,
    mediaType: MEDIA_TYPES.manifest,
    config: copiedConfig,
    layers: layers.map(({ descriptor }) => descriptor),
  });
  await repository.name(relocation.target, copied);
  return copied.digest;
}

async function strippedMetadata(
  repository: LocalRepository,
  reference: string,
  { signingKeyFile }: Relocation,
): Promise<{ layer: StackedLayer; label: string }> {
  const { service } = await readImageMetadata(repository.directory, reference);
  const { files: _files, ...kept } = service;
  const text = renderServiceJson(kept, new Map());
  const entries = metadataEntries(text, new Map(), await obtainSigningKey(signingKeyFile));
  const layer = await writeLayer(repository, entries, { level: 3, annotations: METADATA_ANNOTATION });
  return { layer, label: createHash("sha256").update(text).digest("hex") };
}

/** All layers but the metadata's, which lies on top, as one. */
async function squash(repository: LocalRepository, reference: string): Promise<StackedLayer> {
  const scratch = await mkdtemp(join(tmpdir(), "vouchsafe-squash-"));
  try {
    const root = join(scratch, "root");
    await unpackImage(repository.directory, reference, root);
    const entries = (await readLayerEntries(root)).filter(({ path }) => !/^\/vouchsafe\/mesh(?:\/|$)/.test(path));
    return await writeLayer(repository, entries, { level: 12 });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
