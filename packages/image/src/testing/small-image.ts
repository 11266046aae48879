import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import zlib from "node:zlib";
import tar from "tar-stream";
import { HOST_ARCHITECTURE, MEDIA_TYPES } from "../descriptor.ts";
import { LocalRepository } from "../local-repository.ts";

/** A directory that vanishes with the test. */
export function temporaryDirectory(context: TestContext, name = "image"): string {
  const directory = mkdtempSync(join(tmpdir(), `vouchsafe-${name}-`));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export type ArchiveEntry = readonly [header: Partial<tar.Header> & { name: string }, content?: string];

/** An archive with exactly these headers, however hostile. */
export async function packArchive(entries: readonly ArchiveEntry[]): Promise<Uint8Array> {
  const pack = tar.pack();
  for (const [header, content = ""] of entries) pack.entry({ mode: 0o644, ...header }, content);
  pack.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of pack) if (chunk instanceof Uint8Array) chunks.push(chunk);
  return new Uint8Array(Buffer.concat(chunks));
}

const compressions = {
  gzip: { mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", compress: (bytes: Uint8Array) => zlib.gzipSync(bytes) },
  zstd: { mediaType: MEDIA_TYPES.layerZstd, compress: (bytes: Uint8Array) => zlib.zstdCompressSync(bytes) },
  none: { mediaType: "application/vnd.oci.image.layer.v1.tar", compress: (bytes: Uint8Array) => bytes },
} as const;

/** Stores an image of the given archives, as another tool would have made it. Returns its digest. */
export async function storeImage(
  directory: string,
  reference: string,
  archives: readonly Uint8Array[],
  {
    compression = "gzip",
    lie = (digest: string) => digest,
  }: { compression?: keyof typeof compressions; lie?: (diffId: string) => string } = {},
): Promise<string> {
  const repository = new LocalRepository(directory);
  const { mediaType, compress } = compressions[compression];
  const layers = await Promise.all(
    archives.map(async (archive) => ({ mediaType, ...(await repository.blobs.put(new Uint8Array(compress(archive)))) })),
  );
  const diffIds = archives.map((archive) => lie(`sha256:${createHash("sha256").update(archive).digest("hex")}`));
  const config = await repository.putDocument(MEDIA_TYPES.config, {
    architecture: HOST_ARCHITECTURE,
    os: "linux",
    config: {},
    rootfs: { type: "layers", diff_ids: diffIds },
  });
  const manifest = await repository.putDocument(MEDIA_TYPES.manifest, {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.manifest,
    config,
    layers,
  });
  await repository.name(reference, manifest);
  return manifest.digest;
}
