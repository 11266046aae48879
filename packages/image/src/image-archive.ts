import { pipeline } from "node:stream/promises";
import tar from "tar-stream";
import { MEDIA_TYPES } from "./descriptor.ts";
import { ImageError } from "./image-error.ts";
import type { LocalRepository } from "./local-repository.ts";
import { formatImageReference, parseImageReference } from "./reference.ts";

/**
 * An image as one archive: an OCI image layout, and beside it the `manifest.json` that container engines read which know no such layout (`docker load`
 * before version 25). Layers stay compressed. Throws E-IMAGE-PULL for an image that is not there; a blob that is damaged breaks the stream.
 */
export async function packImageArchive(repository: LocalRepository, reference: string): Promise<AsyncIterable<Uint8Array>> {
  const image = await repository.read(reference);
  if (image === undefined) throw new ImageError("E-IMAGE-PULL", `image ${reference} is not in ${repository.directory}`);
  const { digest, manifest } = image;
  const name = formatImageReference({ ...parseImageReference(reference), digest: undefined });
  const layers = manifest.layers.map((layer) => layer.digest);
  const descriptor = {
    mediaType: manifest.mediaType ?? MEDIA_TYPES.manifest,
    digest,
    size: await sizeOf(repository, digest),
    annotations: { "io.containerd.image.name": name, "org.opencontainers.image.ref.name": name },
  };
  const documents: readonly [name: string, text: string][] = [
    ["oci-layout", '{"imageLayoutVersion":"1.0.0"}'],
    ["index.json", JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.index, manifests: [descriptor] })],
    [
      "manifest.json",
      JSON.stringify([{ Config: inArchive(manifest.config.digest), RepoTags: [name], Layers: layers.map((each) => inArchive(each)) }]),
    ],
  ];
  const pack = tar.pack();
  const write = async (): Promise<void> => {
    for (const [file, text] of documents) pack.entry({ name: file }, text);
    for (const blob of new Set([digest, manifest.config.digest, ...layers])) {
      const size = await sizeOf(repository, blob);
      await pipeline(repository.blobs.stream(blob), pack.entry({ name: inArchive(blob), size }));
    }
    pack.finalize();
  };
  // Whoever reads the stream learns what went wrong.
  write().catch((error: unknown) => pack.destroy(error instanceof Error ? error : new Error(String(error))));
  return pack as AsyncIterable<Uint8Array>; // a tar stream yields bytes
}

const inArchive = (digest: string): string => `blobs/${digest.replace(":", "/")}`;

async function sizeOf(repository: LocalRepository, digest: string): Promise<number> {
  const size = await repository.blobs.findSize(digest);
  if (size === undefined) throw new ImageError("E-IMAGE-PULL", `blob ${digest} is missing in ${repository.directory}`);
  return size;
}
