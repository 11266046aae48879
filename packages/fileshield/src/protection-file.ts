import { timingSafeEqual } from "node:crypto";
import { ByteCursor, ByteWriter } from "./byte-cursor.ts";
import { openChunks, sealChunks } from "./chunks.ts";
import { FileshieldError } from "./fileshield-error.ts";
import { KEY_BYTES, keyCheck, manifestKey, manifestSeed, protectionTag, TAG_BYTES } from "./keys.ts";
import { findPathFault, findTreeFault, PATH_MAX_BYTES } from "./tree.ts";

export type Protection = "encrypted" | "authenticated" | "not-protected";

/** A part of the file tree; the longest matching path decides (C-94). */
export interface Region {
  readonly path: string;
  readonly protection: Protection;
  /** SHA-256 of the region's listing (`encodeListing`), for `authenticated`. */
  readonly digest?: Uint8Array;
}

/** What the protection file says about one entry of an encrypted region. */
export type ProtectedEntry =
  | {
      readonly kind: "file";
      readonly path: string;
      readonly mode: number;
      readonly size: number;
      readonly digest: Uint8Array;
      readonly blob: string;
    }
  | { readonly kind: "directory"; readonly path: string; readonly mode: number }
  | { readonly kind: "link"; readonly path: string; readonly target: string };

export interface ProtectionManifest {
  readonly chunkLength: number;
  readonly regions: readonly Region[];
  readonly entries: readonly ProtectedEntry[];
}

/*
 * Protection file, integers big-endian, text as length (2 bytes) and UTF-8:
 *
 *   magic "VSFSPF01" | key check (8) | chunk length (4) | seed (32) | AES-256-GCM(manifest) | its tag (16)
 *
 *   manifest = region count (2), regions, entry count (4), entries; both sorted by path, each path once
 *   region   = path, protection (1), for authenticated: digest of the listing (32)
 *   entry    = path, kind (1), then  file: mode (2), size (6), SHA-256 (32), blob name (16)  directory: mode (2)  link: target
 *
 * The tag of the state is not in the file: it comes from the policy.
 */
const MAGIC = Buffer.from("VSFSPF01");
const HEADER_BYTES = MAGIC.length + 8 + 4 + 32;
const CHUNK_MIN_BYTES = 4096;
const CHUNK_MAX_BYTES = 1024 * 1024;
export const CHUNK_DEFAULT_BYTES = 64 * 1024;
const FILE_MAX_BYTES = 256 * 1024 * 1024;
const REGION_LIMIT = 1024;
const PROTECTIONS = ["not-protected", "authenticated", "encrypted"] as const satisfies readonly Protection[];
const KINDS = ["file", "directory", "link"] as const;

const malformed = (detail: string) => new FileshieldError("FSPF_MALFORMED", `protection file: ${detail}`);

function assertKey(volumeKey: Uint8Array): void {
  if (volumeKey.length !== KEY_BYTES)
    throw new FileshieldError("FSPF_KEY", `the key has ${volumeKey.length} bytes, ${KEY_BYTES} are needed`);
}

function assertChunkLength(chunkLength: number): void {
  const valid = chunkLength >= CHUNK_MIN_BYTES && chunkLength <= CHUNK_MAX_BYTES && chunkLength % CHUNK_MIN_BYTES === 0;
  if (!valid) throw malformed(`chunk length ${chunkLength} is not a multiple of ${CHUNK_MIN_BYTES} up to ${CHUNK_MAX_BYTES}`);
}

function encodeManifest({ regions, entries }: ProtectionManifest): Uint8Array {
  const out = new ByteWriter().uint(2, regions.length);
  for (const { path, protection, digest } of regions) {
    out.text(path).uint(1, PROTECTIONS.indexOf(protection));
    if (protection === "authenticated") {
      if (digest?.length !== 32) throw new TypeError(`region ${path} has no SHA-256`);
      out.bytes(digest);
    }
  }
  out.uint(4, entries.length);
  for (const entry of entries) {
    out.text(entry.path).uint(1, KINDS.indexOf(entry.kind));
    if (entry.kind === "link") out.text(entry.target);
    else out.uint(2, entry.mode);
    if (entry.kind === "file") out.uint(6, entry.size).bytes(entry.digest).bytes(Uint8Array.fromHex(entry.blob));
  }
  return out.finish();
}

function readMode(cursor: ByteCursor, path: string): number {
  const mode = cursor.uint(2, `mode of ${path}`);
  if (mode > 0o777) throw malformed(`mode 0o${mode.toString(8)} of ${path}`);
  return mode;
}

function decodeEntry(cursor: ByteCursor): ProtectedEntry {
  const path = cursor.text("path", PATH_MAX_BYTES);
  const kind = KINDS[cursor.uint(1, `kind of ${path}`)];
  if (kind === undefined) throw malformed(`unknown kind of ${path}`);
  if (kind === "link") return { kind, path, target: cursor.text(`target of ${path}`, PATH_MAX_BYTES) };
  const mode = readMode(cursor, path);
  if (kind === "directory") return { kind, path, mode };
  const size = cursor.uint(6, `size of ${path}`);
  return { kind, path, mode, size, digest: cursor.take(32, `digest of ${path}`), blob: cursor.take(16, `blob of ${path}`).toHex() };
}

function decodeRegion(cursor: ByteCursor): Region {
  const path = cursor.text("region", PATH_MAX_BYTES);
  const fault = findPathFault(path);
  if (fault !== undefined) throw malformed(`region ${JSON.stringify(path)} ${fault}`);
  const protection = PROTECTIONS[cursor.uint(1, `protection of ${path}`)];
  if (protection === undefined) throw malformed(`unknown protection of region ${path}`);
  return protection === "authenticated" ? { path, protection, digest: cursor.take(32, `digest of region ${path}`) } : { path, protection };
}

function decodeManifest(bytes: Uint8Array, chunkLength: number): ProtectionManifest {
  const cursor = new ByteCursor(bytes, malformed);
  const regionCount = cursor.uint(2, "number of regions");
  if (regionCount > REGION_LIMIT) throw malformed(`${regionCount} regions, at most ${REGION_LIMIT} are allowed`);
  const regions = Array.from({ length: regionCount }, () => decodeRegion(cursor));
  const entries: ProtectedEntry[] = [];
  // Not preallocated: the count is believed only as far as bytes follow.
  for (let left = cursor.uint(4, "number of entries"); left > 0; left--) entries.push(decodeEntry(cursor));
  cursor.end();
  const fault = findTreeFault(entries);
  if (fault !== undefined) throw malformed(fault);
  for (const list of [regions, entries]) {
    list.forEach((item, index) => {
      const before = list[index - 1];
      if (before !== undefined && Buffer.compare(Buffer.from(before.path), Buffer.from(item.path)) >= 0)
        throw malformed(`${item.path} is out of order`);
    });
  }
  return { chunkLength, regions, entries };
}

/** The protection file's bytes; the same manifest and key give the same bytes. */
export function sealManifest(manifest: ProtectionManifest, volumeKey: Uint8Array): Uint8Array {
  assertKey(volumeKey);
  assertChunkLength(manifest.chunkLength);
  const plaintext = encodeManifest(manifest);
  const seed = manifestSeed(volumeKey, plaintext);
  return new ByteWriter()
    .bytes(MAGIC)
    .bytes(keyCheck(volumeKey))
    .uint(4, manifest.chunkLength)
    .bytes(seed)
    .bytes(sealChunks(plaintext, manifestKey(volumeKey, seed), FILE_MAX_BYTES))
    .finish();
}

/**
 * Opens a protection file. Nothing of it is believed before its tag is found to be the expected one.
 * `tag` has 16 bytes. Throws FSPF_MALFORMED, FSPF_KEY, FSPF_TAG.
 */
export function openManifest(bytes: Uint8Array, volumeKey: Uint8Array, tag: Uint8Array): ProtectionManifest {
  assertKey(volumeKey);
  if (tag.length !== TAG_BYTES) throw new FileshieldError("FSPF_TAG", `the expected tag has ${tag.length} bytes, ${TAG_BYTES} are needed`);
  if (bytes.length > FILE_MAX_BYTES) throw malformed(`${bytes.length} bytes, at most ${FILE_MAX_BYTES} are allowed`);
  const cursor = new ByteCursor(bytes, malformed);
  if (!MAGIC.subarray(0, 6).equals(cursor.take(6, "magic"))) throw malformed("not a protection file");
  if (!MAGIC.subarray(6).equals(cursor.take(2, "format version"))) throw malformed("of another format version");
  const check = cursor.take(8, "key check");
  const chunkLength = cursor.uint(4, "chunk length");
  const seed = cursor.take(32, "seed");
  const size = bytes.length - HEADER_BYTES - TAG_BYTES;
  if (size < 0) throw malformed(`${bytes.length} bytes are too few`);
  const sealed = cursor.take(cursor.left, "manifest");
  const found = protectionTag(volumeKey, bytes);
  if (!timingSafeEqual(found, tag)) {
    if (!timingSafeEqual(check, keyCheck(volumeKey))) {
      throw new FileshieldError("FSPF_KEY", "the protection file was made with another key", {
        remedy: "Use the key that belongs to this image or volume; the policy holds it.",
      });
    }
    const genuine = openChunks(sealed, manifestKey(volumeKey, seed), size, FILE_MAX_BYTES) !== undefined;
    throw new FileshieldError(
      "FSPF_TAG",
      genuine
        ? `the protected files are in the state ${found.toHex()}, not in the expected state ${tag.toHex()}: an older or newer copy`
        : `the protection file was changed: its tag is not the expected ${tag.toHex()}`,
    );
  }
  assertChunkLength(chunkLength);
  const plaintext = openChunks(sealed, manifestKey(volumeKey, seed), size, FILE_MAX_BYTES);
  if (plaintext === undefined) throw malformed("the list of files does not decrypt");
  return decodeManifest(plaintext, chunkLength);
}

/** The tag (32 hex digits) that stands for the state described by a protection file. */
export const tagOf = (protectionFile: Uint8Array, volumeKey: Uint8Array): string => protectionTag(volumeKey, protectionFile).toHex();
