import { createHash, randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { link, mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ImageError } from "./image-error.ts";
import { isDigest } from "./reference.ts";

export const digestOf = (bytes: Uint8Array): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/** Blobs named by their digest, as in an OCI image layout. What is read back is verified: storage is not trusted. */
export class BlobStore {
  readonly directory: string;
  constructor(directory: string) {
    this.directory = directory;
  }
  pathOf(digest: string): string {
    if (!isDigest(digest)) throw new ImageError("E-IMAGE-PULL", `${JSON.stringify(digest.slice(0, 100))} is no digest`);
    return join(this.directory, "blobs", "sha256", digest.slice("sha256:".length));
  }
  /** Size in bytes, or undefined if there is no such blob. */
  async findSize(digest: string): Promise<number | undefined> {
    try {
      return (await stat(this.pathOf(digest))).size;
    } catch {
      return undefined; // absent; any other trouble shows when the blob is read
    }
  }
  /** Path for a new file on the same file system as the blobs. */
  async newTemporary(): Promise<string> {
    await mkdir(join(this.directory, "blobs", "sha256"), { recursive: true });
    return join(this.directory, "blobs", `.new-${randomBytes(8).toString("hex")}`);
  }
  /** Takes over a finished temporary file whose digest the caller computed while writing it. */
  async adopt(temporary: string, digest: string): Promise<void> {
    const file = await open(temporary, "r");
    try {
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, this.pathOf(digest));
  }
  async put(bytes: Uint8Array): Promise<{ digest: string; size: number }> {
    const digest = digestOf(bytes);
    if ((await this.findSize(digest)) !== bytes.length) {
      const temporary = await this.newTemporary();
      await writeFile(temporary, bytes);
      await this.adopt(temporary, digest);
    }
    return { digest, size: bytes.length };
  }
  /** Reads a small blob (manifest, config, metadata) and checks its digest. */
  async read(digest: string, maxBytes: number): Promise<Uint8Array> {
    const size = await this.findSize(digest);
    if (size === undefined) throw new ImageError("E-IMAGE-PULL", `blob ${digest} is missing in ${this.directory}`);
    if (size > maxBytes) throw new ImageError("E-IMAGE-PULL", `blob ${digest} has ${size} bytes, at most ${maxBytes} are allowed`);
    const bytes = await readFile(this.pathOf(digest));
    if (digestOf(bytes) !== digest) throw new ImageError("E-IMAGE-PULL", `blob ${digest} was changed on disk`);
    return bytes;
  }
  /** The bytes as stored; whoever consumes them must check the digest. */
  stream(digest: string): NodeJS.ReadableStream {
    return createReadStream(this.pathOf(digest));
  }
  /** Makes a blob of this store available in another one: a hard link where possible, otherwise a copy. */
  async share(digest: string, target: BlobStore): Promise<void> {
    if ((await target.findSize(digest)) !== undefined) return;
    const temporary = await target.newTemporary();
    try {
      await link(this.pathOf(digest), temporary);
    } catch {
      // Another file system, or one without hard links.
      await writeFile(temporary, createReadStream(this.pathOf(digest)));
    }
    await rename(temporary, target.pathOf(digest));
  }
  async remove(digest: string): Promise<void> {
    await rm(this.pathOf(digest), { force: true });
  }
}
