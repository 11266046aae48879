import { createHash } from "node:crypto";
import {
  chmodSync,
  createWriteStream,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import zlib from "node:zlib";
import tar from "tar-stream";
import type { Descriptor } from "./descriptor.ts";
import { ImageError } from "./image-error.ts";
import { LocalRepository } from "./local-repository.ts";

/** Limits that no honest image meets; past them a layer is an attack on the disk. */
const IMAGE_MAX_BYTES = 64 * 1024 ** 3;
const IMAGE_MAX_ENTRIES = 4_000_000;
/** Zeros compress a thousandfold; beyond this ratio (and past the first megabytes) it is a bomb. */
const EXPANSION_MAX_RATIO = 4096;
const EXPANSION_FREE_BYTES = 256 * 1024 * 1024;
const LINK_LIMIT = 40;
const SMALL_FILE_BYTES = 1024 * 1024;
const NAME_MAX_BYTES = 255;
const PATH_MAX_BYTES = 4096;

export interface UnpackedImage {
  /** `sha256:…` of the image manifest. */
  readonly digest: string;
  readonly directory: string;
}

interface Budget {
  bytes: number;
  entries: number;
}

const refuse = (detail: string, cause?: unknown) =>
  new ImageError("E-IMAGE-LAYER", detail, { cause, remedy: "Do not use this image: get it again from where it was built." });

/** Splits a name in an archive. Throws for everything that is not plainly inside. */
function splitName(name: string): string[] {
  if (name.includes("\0")) throw refuse(`a layer has a name with NUL: ${JSON.stringify(name)}`);
  if (name.startsWith("/")) throw refuse(`a layer has the absolute name ${JSON.stringify(name)}`);
  if (Buffer.byteLength(name) > PATH_MAX_BYTES) throw refuse("a layer has a name of more than 4096 bytes");
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  for (const part of parts) {
    if (part === "..") throw refuse(`a layer has a name that leads outside: ${JSON.stringify(name)}`);
    if (Buffer.byteLength(part) > NAME_MAX_BYTES) throw refuse("a layer has a name with a part of more than 255 bytes");
  }
  return parts;
}

/**
 * A root file system while layers are laid over each other. Nobody else writes below it meanwhile, so looking first and acting then is no race.
 * File operations are synchronous: for thousands of small files that is several times faster than one promise each.
 */
class GrowingRoot {
  readonly #root: string;
  /** Directories entered before, by their name in the archive; forgotten whenever something is removed. */
  readonly #entered = new Map<string, string>();
  constructor(root: string) {
    this.#root = root;
  }

  /** Path on disk of a directory, links resolved as if the root were `/` (what `openat2` calls RESOLVE_IN_ROOT). Missing directories are made. */
  enter(parts: readonly string[]): string {
    const name = parts.join("/");
    const known = this.#entered.get(name);
    if (known !== undefined) return known;
    const pending = [...parts];
    let inside: string[] = [];
    let links = 0;
    for (let part = pending.shift(); part !== undefined; part = pending.shift()) {
      if (part === "..") {
        inside = inside.slice(0, -1);
        continue;
      }
      const next = [...inside, part];
      const onDisk = join(this.#root, ...next);
      const status = lstatSync(onDisk, { throwIfNoEntry: false });
      if (status === undefined) mkdirSync(onDisk, { mode: 0o755 });
      else if (status.isSymbolicLink()) {
        if (++links > LINK_LIMIT) throw refuse(`a layer has too many links on the way to ${JSON.stringify(name)}`);
        const target = readlinkSync(onDisk);
        if (target.startsWith("/")) inside = [];
        pending.unshift(...target.split("/").filter((one) => one !== "" && one !== "."));
        continue;
      } else if (!status.isDirectory()) throw refuse(`a layer has a file below the file ${JSON.stringify(next.join("/"))}`);
      inside = next;
    }
    const found = join(this.#root, ...inside);
    this.#entered.set(name, found);
    return found;
  }

  remove(onDisk: string): void {
    this.#entered.clear();
    rmSync(onDisk, { recursive: true, force: true });
  }

  makeDirectory(onDisk: string, mode: number): void {
    const status = lstatSync(onDisk, { throwIfNoEntry: false });
    if (status !== undefined && !status.isDirectory()) this.remove(onDisk);
    if (!status?.isDirectory()) mkdirSync(onDisk);
    // The owner must be able to fill and to remove it, whoever unpacks.
    chmodSync(onDisk, (mode & 0o1777) | 0o700);
  }

  /** Removes what an earlier entry left at the path; never follows a link. */
  clear(onDisk: string): void {
    const before = lstatSync(onDisk, { throwIfNoEntry: false });
    if (before?.isDirectory() || before?.isSymbolicLink()) this.remove(onDisk);
    else if (before !== undefined) unlinkSync(onDisk);
  }
}

/** Handles a whiteout (image-spec, layer.md); false if the name is none. */
function applyWhiteout(root: GrowingRoot, parent: string, name: string): boolean {
  if (!name.startsWith(".wh.")) return false;
  if (name === ".wh..wh..opq") {
    for (const child of readdirSync(parent)) root.remove(join(parent, child));
    return true;
  }
  const hidden = name.slice(".wh.".length);
  if (hidden === "" || hidden === "." || hidden === "..") throw refuse(`a layer has the whiteout ${JSON.stringify(name)}`);
  root.remove(join(parent, hidden));
  return true;
}

async function unpackEntry(root: GrowingRoot, header: tar.Header, content: AsyncIterable<unknown>): Promise<void> {
  const parts = splitName(header.name);
  const name = parts.pop();
  if (name === undefined) return; // the root directory itself
  const parent = root.enter(parts);
  const onDisk = join(parent, name);
  if (applyWhiteout(root, parent, name)) return;
  const mode = header.mode ?? 0o644;
  if (header.type === "directory") {
    root.makeDirectory(onDisk, mode);
    return;
  }
  root.clear(onDisk);
  switch (header.type) {
    case "file":
    case "contiguous-file":
      await writeFileEntry(onDisk, header.size ?? 0, content);
      // No set-user-ID and set-group-ID: whoever starts the image must not gain rights from it.
      chmodSync(onDisk, mode & 0o777);
      return;
    case "symlink":
      if (!header.linkname || header.linkname.includes("\0"))
        throw refuse(`a layer has the link ${JSON.stringify(header.name)} without target`);
      symlinkSync(header.linkname, onDisk);
      return;
    case "link": {
      const target = splitName((header.linkname ?? "").replace(/^\/+/, ""));
      const file = target.pop();
      if (file === undefined) throw refuse(`a layer has the hard link ${JSON.stringify(header.name)} without target`);
      const source = join(root.enter(target), file);
      const status = lstatSync(source, { throwIfNoEntry: false });
      if (status === undefined || status.isDirectory())
        throw refuse(`a layer links ${JSON.stringify(header.name)} to ${JSON.stringify(header.linkname)}, which is no file of the image`);
      linkSync(source, onDisk);
      return;
    }
    default:
      // Devices, FIFOs and what else archives can hold have no place in an image of ours; a foreign image lives without them.
      throw refuse(`a layer has ${JSON.stringify(header.name)} of the type ${header.type}`);
  }
}

async function writeFileEntry(onDisk: string, size: number, content: AsyncIterable<unknown>): Promise<void> {
  if (size > SMALL_FILE_BYTES) {
    await pipeline(content, createWriteStream(onDisk, { flags: "wx", mode: 0o600 }));
    return;
  }
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) if (chunk instanceof Uint8Array) chunks.push(chunk);
  writeFileSync(onDisk, Buffer.concat(chunks), { flag: "wx", mode: 0o600 });
}

function decompressor(mediaType: string): Transform | undefined {
  if (/[+.]zstd$/.test(mediaType)) return zlib.createZstdDecompress({ params: { [zlib.constants.ZSTD_d_windowLogMax]: 27 } });
  if (/[+.]gzip$/.test(mediaType)) return zlib.createGunzip();
  if (/\.tar$/.test(mediaType)) return undefined;
  throw refuse(`a layer has the media type ${JSON.stringify(mediaType)}`);
}

const hashed = (hash: ReturnType<typeof createHash>, check: (bytes: number) => void) => {
  let total = 0;
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      hash.update(chunk);
      total += chunk.length;
      try {
        check(total);
        done(null, chunk);
      } catch (error) {
        done(error instanceof Error ? error : new Error(String(error)));
      }
    },
  });
};

async function unpackLayer(
  repository: LocalRepository,
  layer: Descriptor,
  diffId: string,
  root: GrowingRoot,
  budget: Budget,
): Promise<void> {
  const stored = createHash("sha256");
  const plain = createHash("sha256");
  let plainBytes = 0;
  const capped = hashed(plain, (bytes) => {
    if (budget.bytes + bytes > IMAGE_MAX_BYTES) throw refuse(`layer ${layer.digest} makes the image larger than ${IMAGE_MAX_BYTES} bytes`);
    if (bytes > EXPANSION_FREE_BYTES && bytes > layer.size * EXPANSION_MAX_RATIO)
      throw refuse(`layer ${layer.digest} of ${layer.size} bytes expands to more than ${bytes} bytes`);
    plainBytes = bytes;
  });
  const sized = hashed(stored, (bytes) => {
    if (bytes > layer.size) throw refuse(`layer ${layer.digest} has more than its ${layer.size} bytes`);
  });
  const archive = tar.extract();
  const reading = async () => {
    for await (const entry of archive) {
      if (++budget.entries > IMAGE_MAX_ENTRIES) throw refuse(`the image has more than ${IMAGE_MAX_ENTRIES} entries`);
      await unpackEntry(root, entry.header, entry);
      entry.resume();
    }
  };
  const inflate = decompressor(layer.mediaType);
  const source = repository.blobs.stream(layer.digest);
  try {
    const flow = inflate === undefined ? pipeline(source, sized, capped, archive) : pipeline(source, sized, inflate, capped, archive);
    await Promise.all([flow, reading()]);
  } catch (cause) {
    if (cause instanceof ImageError) throw cause;
    throw refuse(`layer ${layer.digest} cannot be unpacked: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
  // Checked after the fact: until then the files lie in a directory that nobody uses yet, and a mismatch removes it.
  if (`sha256:${stored.digest("hex")}` !== layer.digest) throw refuse(`layer ${layer.digest} was changed: its digest is another`);
  if (`sha256:${plain.digest("hex")}` !== diffId)
    throw refuse(`layer ${layer.digest} holds another archive than the image's configuration says`);
  budget.bytes += plainBytes;
}

/**
 * Unpacks an image into a directory that must not exist yet. Every digest is verified while unpacking (manifest, config, layers, and the archives
 * in the layers); names, links and whiteouts cannot lead outside. Works without root rights: files then belong to the user.
 * On any failure the directory is removed. Throws E-IMAGE-LAYER, E-IMAGE-PULL.
 */
export async function unpackImage(layoutDir: string, reference: string, targetDir: string): Promise<UnpackedImage> {
  const repository = new LocalRepository(layoutDir);
  const image = await repository.read(reference);
  if (image === undefined) throw new ImageError("E-IMAGE-PULL", `image ${reference} is not in ${layoutDir}`);
  const { manifest, config, digest } = image;
  const diffIds = config.rootfs.diff_ids;
  if (diffIds.length !== manifest.layers.length)
    throw refuse(`image ${reference} has ${manifest.layers.length} layers, but its configuration names ${diffIds.length}`);
  await mkdir(targetDir, { mode: 0o755 });
  try {
    const budget: Budget = { bytes: 0, entries: 0 };
    const root = new GrowingRoot(targetDir);
    for (const [index, layer] of manifest.layers.entries()) await unpackLayer(repository, layer, diffIds[index] ?? "", root, budget);
  } catch (error) {
    await rm(targetDir, { recursive: true, force: true });
    throw error;
  }
  return { digest, directory: targetDir };
}
