import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import zlib from "node:zlib";
import tar from "tar-stream";
import type { Descriptor } from "./descriptor.ts";
import { ImageError } from "./image-error.ts";
import { LocalRepository, type StoredImage } from "./local-repository.ts";
import { type ImageMetadata, METADATA_DIRECTORY, METADATA_LABEL, ServiceMetadata } from "./metadata.ts";
import { METADATA_ANNOTATION, SERVICE_FILE, SIGNATURE_FILE } from "./metadata-layer.ts";
import { MetadataSignature, verifyMetadata } from "./signing.ts";

const LAYER_MAX_BYTES = 16 * 1024 * 1024;
const FILE_MAX_BYTES = 4 * 1024 * 1024;
const FILE_LIMIT = 2000;

const [[ANNOTATION_NAME, ANNOTATION_VALUE] = ["", ""]] = Object.entries(METADATA_ANNOTATION);

/** The layer that holds the metadata directory; undefined in an image of somebody else. */
export const findMetadataLayer = ({ manifest }: StoredImage): Descriptor | undefined =>
  manifest.layers.findLast(({ annotations }) => annotations?.[ANNOTATION_NAME] === ANNOTATION_VALUE);

const refuse = (reference: string, detail: string, cause?: unknown) =>
  new ImageError("E-META-SIGNATURE", `image ${reference}: ${detail}`, {
    cause,
    remedy: "Build the image again, or get it again from where it was built.",
  });

async function readFiles(repository: LocalRepository, layer: Descriptor, reference: string): Promise<Map<string, string>> {
  // Small, and read whole after its digest was checked, so that nothing unverified is parsed.
  await repository.blobs.read(layer.digest, LAYER_MAX_BYTES);
  const files = new Map<string, string>();
  const archive = tar.extract();
  const prefix = `${METADATA_DIRECTORY.slice(1)}/`;
  const collect = async () => {
    let left = LAYER_MAX_BYTES;
    for await (const entry of archive) {
      const { name, type, size = 0 } = entry.header;
      left -= size;
      if (size > FILE_MAX_BYTES || left < 0 || files.size >= FILE_LIMIT) throw refuse(reference, "its metadata is too large");
      if (type === "file" && name.startsWith(prefix)) {
        if (files.has(name.slice(prefix.length))) throw refuse(reference, `${name} occurs twice`);
        files.set(name.slice(prefix.length), await text(entry));
      }
      entry.resume();
    }
  };
  await Promise.all([pipeline(createReadStream(repository.blobs.pathOf(layer.digest)), zlib.createZstdDecompress(), archive), collect()]);
  return files;
}

/**
 * Reads an image's metadata and checks the label, the signature and the hash of every file (MF-66). Which signers are acceptable is for the caller
 * to decide: `signer`. The image, or at least its manifest, config and metadata layer, must be in the repository.
 * Throws E-IMAGE-PULL, E-META-MISSING, E-META-SIGNATURE.
 */
export async function readImageMetadata(layoutDir: string, reference: string): Promise<ImageMetadata> {
  const repository = new LocalRepository(layoutDir);
  const image = await repository.read(reference);
  if (image === undefined)
    throw new ImageError("E-IMAGE-PULL", `image ${reference} is not in ${layoutDir}`, {
      remedy: "Build it with sconectl apply, or pull it.",
    });
  const layer = findMetadataLayer(image);
  const label = image.config.config?.Labels?.[METADATA_LABEL];
  if (layer === undefined || label === undefined) {
    throw new ImageError("E-META-MISSING", `image ${reference} has no metadata of a service`, {
      remedy: "Build it with a service manifest, or give image_policy, image_secrets, helm_chart and env in the mesh.",
    });
  }
  const files = await readFiles(repository, layer, reference);
  const serviceText = files.get(SERVICE_FILE) ?? "";
  if (createHash("sha256").update(serviceText).digest("hex") !== label)
    throw refuse(reference, `${SERVICE_FILE} is not the one that the label ${METADATA_LABEL} names`);
  let signature: MetadataSignature;
  try {
    signature = MetadataSignature.parse(JSON.parse(files.get(SIGNATURE_FILE) ?? ""));
  } catch (cause) {
    throw refuse(reference, `${SIGNATURE_FILE} is missing or malformed`, cause);
  }
  const signer = verifyMetadata(new TextEncoder().encode(serviceText), signature);
  let service: ServiceMetadata;
  try {
    service = ServiceMetadata.parse(JSON.parse(serviceText));
  } catch (cause) {
    throw refuse(reference, `${SERVICE_FILE} is of another format`, cause);
  }
  files.delete(SERVICE_FILE);
  files.delete(SIGNATURE_FILE);
  const hashes = new Map(Object.entries(service.files));
  for (const [path, content] of files) {
    if (createHash("sha256").update(content).digest("hex") !== hashes.get(path))
      throw refuse(reference, `${path} was changed after it was signed by key ${signer}`);
  }
  for (const path of hashes.keys()) if (!files.has(path)) throw refuse(reference, `${path} is missing`);
  return { reference, digest: image.digest, service, files, signer };
}
