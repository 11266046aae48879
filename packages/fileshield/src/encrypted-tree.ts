import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { openChunks, sealChunks, sealedSize } from "./chunks.ts";
import { FileshieldError } from "./fileshield-error.ts";
import { blobName, fileKey } from "./keys.ts";
import {
  CHUNK_DEFAULT_BYTES,
  openManifest,
  type ProtectedEntry,
  type ProtectionManifest,
  type Region,
  sealManifest,
  tagOf,
} from "./protection-file.ts";
import { sortTree, type TreeEntry } from "./tree.ts";

export interface EncryptedTree {
  /** Bytes of the protection file. */
  readonly protectionFile: Uint8Array;
  /** Ciphertexts by name (32 hex digits); they lie in the directory that has the protection file's name without `.fspf`. */
  readonly blobs: ReadonlyMap<string, Uint8Array>;
  /** 32 hex digits that stand for the whole state. */
  readonly tag: string;
}

export interface DecryptedTree {
  readonly entries: readonly TreeEntry[];
  readonly regions: readonly Region[];
}

/** Where a protected tree is read from. Both throw if the file is absent. What they return is not trusted. */
export interface ProtectedTreeReader {
  readProtectionFile(): Uint8Array;
  readBlob(name: string, maxBytes: number): Uint8Array;
}

/**
 * Encrypts files, names, sizes and links. Deterministic: the same entries and key give the same bytes. Key: 32 random bytes, used for this
 * purpose only. Throws FSPF_KEY, FSPF_ENTRY for what is no tree, FSPF_MALFORMED for a chunk length that is none.
 */
export function encryptTree(
  entries: readonly TreeEntry[],
  volumeKey: Uint8Array,
  options: { readonly regions?: readonly Region[]; readonly chunkLength?: number } = {},
): EncryptedTree {
  const chunkLength = options.chunkLength ?? CHUNK_DEFAULT_BYTES;
  const blobs = new Map<string, Uint8Array>();
  const protectedEntries = sortTree(entries).map((entry): ProtectedEntry => {
    if (entry.kind !== "file") return entry;
    const { kind, path, mode, bytes } = entry;
    const digest = new Uint8Array(createHash("sha256").update(bytes).digest());
    const blob = blobName(volumeKey, path, digest);
    blobs.set(blob, sealChunks(bytes, fileKey(volumeKey, path, digest), chunkLength));
    return { kind, path, mode, size: bytes.length, digest, blob };
  });
  const regions = sortTree((options.regions ?? []).map((region) => ({ kind: "directory", ...region }))).map(
    ({ path, protection, digest }) => (digest === undefined ? { path, protection } : { path, protection, digest }),
  );
  const protectionFile = sealManifest({ chunkLength, regions, entries: protectedEntries }, volumeKey);
  return { protectionFile, blobs, tag: tagOf(protectionFile, volumeKey) };
}

function decryptFile(
  reader: ProtectedTreeReader,
  entry: Extract<ProtectedEntry, { kind: "file" }>,
  manifest: ProtectionManifest,
  key: Uint8Array,
): Uint8Array {
  const expected = sealedSize(entry.size, manifest.chunkLength);
  const fault = (detail: string, cause?: unknown) => new FileshieldError("FSPF_FILE", `protected file ${entry.path} ${detail}`, { cause });
  let sealed: Uint8Array;
  try {
    sealed = reader.readBlob(entry.blob, expected);
  } catch (cause) {
    throw fault("cannot be read", cause);
  }
  if (sealed.length !== expected) throw fault(`has ${sealed.length} stored bytes, ${expected} are expected`);
  const plaintext = openChunks(sealed, fileKey(key, entry.path, entry.digest), entry.size, manifest.chunkLength);
  if (plaintext === undefined) throw fault("was changed");
  return plaintext;
}

/**
 * Decrypts everything, or nothing: a flipped bit, a missing, swapped, truncated or older file is refused.
 * `tag`: 32 hex digits, as the policy says. Throws FSPF_MALFORMED, FSPF_KEY, FSPF_TAG, FSPF_FILE.
 */
export function decryptTree(reader: ProtectedTreeReader, volumeKey: Uint8Array, tag: string): DecryptedTree {
  const manifest = openManifest(reader.readProtectionFile(), volumeKey, Uint8Array.fromHex(tag));
  const entries = manifest.entries.map((entry): TreeEntry => {
    if (entry.kind !== "file") return entry;
    return { kind: "file", path: entry.path, mode: entry.mode, bytes: decryptFile(reader, entry, manifest, volumeKey) };
  });
  return { entries, regions: manifest.regions };
}

/** The directory in which the ciphertexts of a protection file lie: `/vouchsafe/code` for `/vouchsafe/code.fspf`. */
export const blobDirectory = (protectionFilePath: string): string =>
  protectionFilePath.replace(/\.fspf$/, "").concat(protectionFilePath.endsWith(".fspf") ? "" : ".d");

/** Reads a protected tree from disk, synchronously: the launcher does so in a process that changes its namespaces. */
export function openProtectedDirectory(protectionFilePath: string): ProtectedTreeReader {
  const directory = blobDirectory(protectionFilePath);
  return {
    readProtectionFile: () => {
      try {
        return readFileSync(protectionFilePath);
      } catch (cause) {
        throw new FileshieldError("FSPF_FILE", `protection file ${protectionFilePath} cannot be read`, { cause });
      }
    },
    readBlob: (name) => readFileSync(join(directory, name)),
  };
}
