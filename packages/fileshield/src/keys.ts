import { createHmac, hkdfSync } from "node:crypto";
import { ByteWriter } from "./byte-cursor.ts";

export const KEY_BYTES = 32;
export const TAG_BYTES = 16;
const LABEL = "vouchsafe/fileshield/1";

/** RFC 5869 with SHA-256; one label for each purpose, length-prefixed parts, so that no two purposes share a key. */
function derive(volumeKey: Uint8Array, purpose: string, ...parts: readonly Uint8Array[]): Uint8Array {
  const info = new ByteWriter().text(`${LABEL} ${purpose}`);
  for (const part of parts) info.uint(2, part.length).bytes(part);
  return new Uint8Array(hkdfSync("sha256", volumeKey, new Uint8Array(0), info.finish(), KEY_BYTES));
}

const mac = (key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array => {
  const hmac = createHmac("sha256", key);
  for (const part of parts) hmac.update(part);
  return new Uint8Array(hmac.digest());
};

/** Tells one volume key from another without revealing either: 8 bytes, only for the error message. */
export const keyCheck = (volumeKey: Uint8Array): Uint8Array => derive(volumeKey, "key check").subarray(0, 8);

/**
 * The key of one file's content. It changes with every byte of the content and with the path, so chunk counters may start at 0 for each: same
 * content, same ciphertext; another content, another key. Usage limit: 2^32 chunks, one encryption.
 */
export const fileKey = (volumeKey: Uint8Array, path: string, digest: Uint8Array): Uint8Array =>
  derive(volumeKey, "file", Buffer.from(path), digest);

/** Name under which a file's ciphertext is stored: says nothing about path or content to whoever lacks the key. */
export const blobName = (volumeKey: Uint8Array, path: string, digest: Uint8Array): string =>
  mac(derive(volumeKey, "name"), new ByteWriter().text(path).finish(), digest).subarray(0, 16).toHex();

/** 32 bytes that stand for the list of files; part of its key, so that two lists never share key and nonce (as in RFC 5297). */
export const manifestSeed = (volumeKey: Uint8Array, plaintext: Uint8Array): Uint8Array => mac(derive(volumeKey, "seed"), plaintext);

/** Encrypts exactly one list of files, with nonce 0. */
export const manifestKey = (volumeKey: Uint8Array, seed: Uint8Array): Uint8Array => derive(volumeKey, "manifest", seed);

/** The tag of a protection file: HMAC-SHA-256 over all of its bytes, truncated to 16 (RFC 2104, section 5). */
export const protectionTag = (volumeKey: Uint8Array, protectionFile: Uint8Array): Uint8Array =>
  mac(derive(volumeKey, "tag"), protectionFile).subarray(0, TAG_BYTES);
