import { createHash, type Hash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { lstat, readdir, readFile, readlink, rm } from "node:fs/promises";
import { join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import zlib from "node:zlib";
import type { ListedFile } from "@vouchsafe/fileshield";
import tar from "tar-stream";
import { type Descriptor, MEDIA_TYPES } from "./descriptor.ts";
import type { LocalRepository } from "./local-repository.ts";

/** What a layer holds at one path. Owner is always root, times are fixed: who builds, where and when must not show (MF-61). */
export type LayerEntry =
  | { readonly kind: "file"; readonly path: string; readonly mode: number; readonly content: Uint8Array | { readonly source: string } }
  | { readonly kind: "directory"; readonly path: string; readonly mode: number }
  | { readonly kind: "link"; readonly path: string; readonly target: string }
  /** Hides what lower layers have at the path. */
  | { readonly kind: "whiteout"; readonly path: string };

export interface Layer {
  readonly descriptor: Descriptor;
  /** Digest of the uncompressed archive. */
  readonly diffId: string;
  /** What was packed, for integrity-protected regions. */
  readonly files: readonly ListedFile[];
}

export interface LayerOptions {
  readonly level: number;
  /** Log2 of the window, for large archives; decoders must hold it in memory. */
  readonly windowLog?: number;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** 2020-01-01: every file's time. Later than what some archive formats can hold at least, and the same for all builds. */
const FIXED_TIME = new Date(1_577_836_800_000);

const compareText = (left: string, right: string): number => Buffer.compare(Buffer.from(left), Buffer.from(right));

/** All entries below a directory on disk, in no particular order. */
export async function readLayerEntries(root: string, path = "/"): Promise<LayerEntry[]> {
  const entries: LayerEntry[] = [];
  for (const name of (await readdir(join(root, path))).sort()) {
    const inside = path === "/" ? `/${name}` : `${path}/${name}`;
    const onDisk = join(root, inside);
    const status = await lstat(onDisk);
    if (status.isDirectory()) {
      entries.push({ kind: "directory", path: inside, mode: status.mode & 0o1777 }, ...(await readLayerEntries(root, inside)));
    } else if (status.isSymbolicLink()) entries.push({ kind: "link", path: inside, target: await readlink(onDisk) });
    // Set-user-ID and set-group-ID bits are dropped: nothing in an image may gain rights.
    else if (status.isFile()) entries.push({ kind: "file", path: inside, mode: status.mode & 0o777, content: { source: onDisk } });
    // Sockets, FIFOs and devices have no place in an image.
  }
  return entries;
}

const hashing = (hash: Hash, count?: (bytes: number) => void) =>
  new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      hash.update(chunk);
      count?.(chunk.length);
      done(null, chunk);
    },
  });

async function packEntries(pack: tar.Pack, entries: readonly LayerEntry[], files: ListedFile[]): Promise<void> {
  const add = (header: Partial<tar.Header> & { name: string }, content?: Uint8Array) =>
    new Promise<void>((resolve, reject) => {
      const done = (error?: Error | null) => (error ? reject(error) : resolve());
      const fixed = { ...header, mtime: FIXED_TIME, uid: 0, gid: 0, uname: "", gname: "" };
      if (content === undefined) pack.entry(fixed, done);
      else pack.entry({ ...fixed, size: content.length }, Buffer.from(content.buffer, content.byteOffset, content.byteLength), done);
    });
  for (const entry of [...entries].sort((left, right) => compareText(left.path, right.path))) {
    const name = entry.path.slice(1);
    switch (entry.kind) {
      case "directory":
        await add({ name: `${name}/`, type: "directory", mode: entry.mode });
        break;
      case "link":
        files.push({ kind: "link", path: entry.path, target: entry.target });
        await add({ name, type: "symlink", linkname: entry.target, mode: 0o777, size: 0 });
        break;
      case "file": {
        const content = entry.content instanceof Uint8Array ? entry.content : await readFile(entry.content.source);
        const digest = new Uint8Array(createHash("sha256").update(content).digest());
        files.push({ kind: "file", path: entry.path, mode: entry.mode, size: content.length, digest });
        await add({ name, type: "file", mode: entry.mode }, content);
        break;
      }
      case "whiteout": {
        const slash = name.lastIndexOf("/") + 1;
        await add({ name: `${name.slice(0, slash)}.wh.${name.slice(slash)}`, type: "file", mode: 0o644 }, new Uint8Array());
        break;
      }
      default:
        entry satisfies never;
    }
  }
  pack.finalize();
}

/**
 * Packs a layer into the repository: sorted, compressed with zstd (whose output, unlike that of some deflate implementations, does not depend
 * on the processor). Writes beside, then renames: a crash leaves only a file named `.new-…`.
 */
export async function writeLayer(repository: LocalRepository, entries: readonly LayerEntry[], options: LayerOptions): Promise<Layer> {
  const params: Record<number, number> = {
    [zlib.constants.ZSTD_c_compressionLevel]: options.level,
    [zlib.constants.ZSTD_c_checksumFlag]: 1,
  };
  if (options.windowLog !== undefined) {
    params[zlib.constants.ZSTD_c_windowLog] = options.windowLog;
    params[zlib.constants.ZSTD_c_enableLongDistanceMatching] = 1;
  }
  const temporary = await repository.blobs.newTemporary();
  const plain = createHash("sha256");
  const compressed = createHash("sha256");
  let size = 0;
  const files: ListedFile[] = [];
  const pack = tar.pack();
  const countSize = (bytes: number) => {
    size += bytes;
  };
  try {
    await Promise.all([
      packEntries(pack, entries, files),
      pipeline(pack, hashing(plain), zlib.createZstdCompress({ params }), hashing(compressed, countSize), createWriteStream(temporary)),
    ]);
    const digest = `sha256:${compressed.digest("hex")}`;
    await repository.blobs.adopt(temporary, digest);
    const annotations = options.annotations === undefined ? {} : { annotations: { ...options.annotations } };
    return {
      descriptor: { mediaType: MEDIA_TYPES.layerZstd, digest, size, ...annotations },
      diffId: `sha256:${plain.digest("hex")}`,
      files,
    };
  } catch (error) {
    pack.destroy();
    await rm(temporary, { force: true });
    throw error;
  }
}
