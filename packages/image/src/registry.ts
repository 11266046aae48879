import { createHash } from "node:crypto";
import { createWriteStream, openAsBlob } from "node:fs";
import { rm } from "node:fs/promises";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Descriptor, HOST_ARCHITECTURE, ImageConfig, ImageIndex, ImageManifest, MEDIA_TYPES } from "./descriptor.ts";
import { ImageError } from "./image-error.ts";
import { LOCAL_REGISTRY, type LocalRepository, type StoredImage } from "./local-repository.ts";
import { findMetadataLayer } from "./read-metadata.ts";
import { formatImageReference, parseImageReference } from "./reference.ts";
import type { RegistryConnection } from "./registry-connection.ts";
import { connect, DOCUMENT_MAX_BYTES, HEAD_TIMEOUT_MS, parseDocument, pullDocument, type RegistryOptions } from "./registry-documents.ts";

const BLOB_MAX_BYTES = 32 * 1024 ** 3;
const UPLOAD_TIMEOUT_MS = 60 * 60_000;
const IDLE_TIMEOUT_MS = 60_000;
const PARALLEL = 3;

/** Some at a time: never one connection for each of hundreds of blobs. */
async function forEachParallel<T>(items: readonly T[], action: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await action(item);
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
}

/**
 * Uploads an image of the local repository under its own reference, or another one. Blobs that the registry has are skipped.
 * Returns the digest. Throws E-IMAGE-PUSH.
 */
export async function pushImage(
  repository: LocalRepository,
  reference: string,
  target: string = reference,
  options: RegistryOptions = {},
): Promise<string> {
  const image = await repository.read(reference);
  if (image === undefined) throw new ImageError("E-IMAGE-PUSH", `image ${reference} is not in ${repository.directory}`);
  const parsed = parseImageReference(target);
  const connection = await connect(parsed, "E-IMAGE-PUSH", options);
  try {
    await forEachParallel([...image.manifest.layers, image.manifest.config], (blob) => pushBlob(connection, repository, blob, options));
    const bytes = await repository.blobs.read(image.digest, DOCUMENT_MAX_BYTES);
    const mediaType = image.manifest.mediaType ?? MEDIA_TYPES.manifest;
    const response = await connection.send({
      method: "PUT",
      path: `manifests/${parsed.tag ?? image.digest}`,
      headers: { "content-type": mediaType },
      body: Uint8Array.from(bytes),
      timeoutMs: HEAD_TIMEOUT_MS,
    });
    if (response.status !== 201) throw await connection.failAnswer("the manifest was not accepted", response);
    await response.body?.cancel();
  } catch (cause) {
    if (!(cause instanceof ImageError)) throw cause;
    const remedy = `${cause.remedy ?? "Check the registry."} Or keep the image on this machine with --no-push, or change build.to.`;
    throw new ImageError("E-IMAGE-PUSH", `${formatImageReference(parsed)} cannot be pushed: ${cause.message}`, {
      cause,
      remedy,
      field: "build.to",
    });
  }
  return image.digest;
}

async function pushBlob(
  connection: RegistryConnection,
  repository: LocalRepository,
  blob: Descriptor,
  { progress }: RegistryOptions,
): Promise<void> {
  const present = await connection.send({ method: "HEAD", path: `blobs/${blob.digest}`, timeoutMs: HEAD_TIMEOUT_MS });
  if (present.status === 200) return;
  const start = await connection.send({
    method: "POST",
    path: "blobs/uploads/",
    headers: { "content-length": "0" },
    timeoutMs: HEAD_TIMEOUT_MS,
  });
  const location = start.headers.get("location");
  if (start.status !== 202 || location === null) throw await connection.failAnswer("an upload was not allowed", start);
  await start.body?.cancel();
  const url = new URL(location, start.url);
  url.searchParams.set("digest", blob.digest);
  const response = await connection.send({
    method: "PUT",
    path: url.href,
    headers: { "content-type": "application/octet-stream" },
    body: await openAsBlob(repository.blobs.pathOf(blob.digest)),
    timeoutMs: UPLOAD_TIMEOUT_MS,
  });
  if (response.status !== 201) throw await connection.failAnswer(`blob ${blob.digest} was not accepted`, response);
  await response.body?.cancel();
  progress?.({ kind: "blob", text: blob.digest, bytes: blob.size });
}

/** The manifest for this machine's architecture; an index is resolved once, an index in an index is refused. */
async function pullManifest(connection: RegistryConnection, name: string) {
  const first = await pullDocument(connection, name);
  if (first.mediaType !== MEDIA_TYPES.index && first.mediaType !== MEDIA_TYPES.dockerIndex) return first;
  const { manifests } = parseDocument(connection, ImageIndex, first.bytes, "index");
  const fitting = manifests.find(({ platform }) => platform?.os === "linux" && platform.architecture === HOST_ARCHITECTURE);
  if (fitting === undefined) throw connection.fail(`the image does not exist for linux/${HOST_ARCHITECTURE}`);
  const second = await pullDocument(connection, fitting.digest);
  if (second.mediaType === MEDIA_TYPES.index || second.mediaType === MEDIA_TYPES.dockerIndex)
    throw connection.fail("an index lists another index");
  return second;
}

async function pullBlob(
  connection: RegistryConnection,
  repository: LocalRepository,
  blob: Descriptor,
  { progress }: RegistryOptions,
): Promise<void> {
  if ((await repository.blobs.findSize(blob.digest)) === blob.size) return;
  if (blob.size > BLOB_MAX_BYTES)
    throw connection.fail(`blob ${blob.digest} has ${blob.size} bytes, at most ${BLOB_MAX_BYTES} are allowed`);
  const response = await connection.send({ method: "GET", path: `blobs/${blob.digest}`, timeoutMs: HEAD_TIMEOUT_MS });
  if (response.status !== 200 || response.body === null)
    throw await connection.failAnswer(`blob ${blob.digest} cannot be pulled`, response);
  const hash = createHash("sha256");
  let size = 0;
  const idle = new AbortController();
  const restart = () =>
    setTimeout(() => idle.abort(connection.fail(`blob ${blob.digest}: nothing arrived for ${IDLE_TIMEOUT_MS} ms`)), IDLE_TIMEOUT_MS);
  let timer = restart();
  const check = new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      clearTimeout(timer);
      timer = restart();
      hash.update(chunk);
      size += chunk.length;
      done(size > blob.size ? connection.fail(`blob ${blob.digest} is longer than its ${blob.size} bytes`) : null, chunk);
    },
  });
  const temporary = await repository.blobs.newTemporary();
  try {
    await pipeline(Readable.fromWeb(response.body), check, createWriteStream(temporary), { signal: idle.signal });
    if (size !== blob.size) throw connection.fail(`blob ${blob.digest} ends after ${size} of ${blob.size} bytes`);
    const digest = `sha256:${hash.digest("hex")}`;
    if (digest !== blob.digest) throw connection.fail(`the registry answers ${digest} to a request for ${blob.digest}`);
    await repository.blobs.adopt(temporary, digest);
  } catch (cause) {
    await rm(temporary, { force: true });
    throw cause instanceof ImageError ? cause : connection.fail(`blob ${blob.digest} did not arrive`, { cause });
  } finally {
    clearTimeout(timer);
  }
  progress?.({ kind: "blob", text: blob.digest, bytes: blob.size });
}

export interface PullOptions extends RegistryOptions {
  /** Fetch manifest, config and the metadata layer only: enough for `readImageMetadata`. */
  readonly metadataOnly?: boolean;
}

/**
 * Brings an image into the local repository, under the same reference; every byte is checked against its digest. Images of the reserved local
 * registry must be there already. Throws E-IMAGE-PULL.
 */
export async function pullImage(repository: LocalRepository, reference: string, options: PullOptions = {}): Promise<StoredImage> {
  const parsed = parseImageReference(reference);
  if (parsed.registry === LOCAL_REGISTRY) {
    const image = await repository.read(reference);
    if (image !== undefined) return image;
    throw new ImageError("E-IMAGE-PULL", `image ${reference} is not in the local repository ${repository.directory}`, {
      remedy: "Build it with sconectl apply.",
    });
  }
  const connection = await connect(parsed, "E-IMAGE-PULL", options);
  const { bytes, mediaType, digest } = await pullManifest(connection, parsed.digest ?? parsed.tag ?? "latest");
  const manifest = parseDocument(connection, ImageManifest, bytes, "manifest");
  await pullBlob(connection, repository, manifest.config, options);
  const config = parseDocument(
    connection,
    ImageConfig,
    await repository.blobs.read(manifest.config.digest, DOCUMENT_MAX_BYTES),
    "configuration",
  );
  const image = { digest, manifest, config };
  const metadata = findMetadataLayer(image);
  const layers = options.metadataOnly === true ? (metadata === undefined ? [] : [metadata]) : manifest.layers;
  await forEachParallel(layers, (layer) => pullBlob(connection, repository, layer, options));
  await repository.blobs.put(bytes);
  await repository.name(reference, { mediaType: manifest.mediaType ?? mediaType, digest, size: bytes.length });
  return image;
}
