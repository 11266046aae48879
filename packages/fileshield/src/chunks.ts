import { createCipheriv, createDecipheriv } from "node:crypto";
import { TAG_BYTES } from "./keys.ts";

const NONCE_BYTES = 12;

const nonceOf = (index: number): Uint8Array => {
  const nonce = new Uint8Array(NONCE_BYTES);
  new DataView(nonce.buffer).setUint32(NONCE_BYTES - 4, index);
  return nonce;
};

/** Binds a chunk to its place and says whether it is the last, so that neither order nor length can be changed. */
const placeOf = (index: number, count: number): Uint8Array => {
  const place = new Uint8Array(5);
  new DataView(place.buffer).setUint32(0, index);
  place[4] = index === count - 1 ? 1 : 0;
  return place;
};

const chunkCount = (size: number, chunkLength: number): number => Math.max(1, Math.ceil(size / chunkLength));

/** Size of the ciphertext of `size` bytes. */
export const sealedSize = (size: number, chunkLength: number): number => size + chunkCount(size, chunkLength) * TAG_BYTES;

/** AES-256-GCM in chunks, each followed by its tag. The key must serve this content only: the nonce is the chunk's number. */
export function sealChunks(plaintext: Uint8Array, key: Uint8Array, chunkLength: number): Uint8Array {
  const count = chunkCount(plaintext.length, chunkLength);
  const sealed = new Uint8Array(sealedSize(plaintext.length, chunkLength));
  let offset = 0;
  for (let index = 0; index < count; index++) {
    const cipher = createCipheriv("aes-256-gcm", key, nonceOf(index)).setAAD(placeOf(index, count));
    for (const part of [cipher.update(plaintext.subarray(index * chunkLength, (index + 1) * chunkLength)), cipher.final()]) {
      sealed.set(part, offset);
      offset += part.length;
    }
    sealed.set(cipher.getAuthTag(), offset);
    offset += TAG_BYTES;
  }
  return sealed;
}

/** Inverse of `sealChunks`; undefined if one bit, the order or the length is not what was sealed. */
export function openChunks(sealed: Uint8Array, key: Uint8Array, size: number, chunkLength: number): Uint8Array | undefined {
  if (sealed.length !== sealedSize(size, chunkLength)) return undefined;
  const count = chunkCount(size, chunkLength);
  const plaintext = new Uint8Array(size);
  const stride = chunkLength + TAG_BYTES;
  for (let index = 0; index < count; index++) {
    const chunk = sealed.subarray(index * stride, (index + 1) * stride);
    const decipher = createDecipheriv("aes-256-gcm", key, nonceOf(index), { authTagLength: TAG_BYTES })
      .setAAD(placeOf(index, count))
      .setAuthTag(chunk.subarray(chunk.length - TAG_BYTES));
    plaintext.set(decipher.update(chunk.subarray(0, chunk.length - TAG_BYTES)), index * chunkLength);
    try {
      decipher.final();
    } catch {
      return undefined; // the only failure of final() in this mode is a wrong tag
    }
  }
  return plaintext;
}
