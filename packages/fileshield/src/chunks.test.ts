import assert from "node:assert/strict";
import { createDecipheriv } from "node:crypto";
import { test } from "node:test";
import { openChunks, sealChunks } from "./chunks.ts";

const key = new Uint8Array(32).fill(9);
const CHUNK = 4096;
const TAG = 16;

/** One chunk as the format describes it, by hand. */
function openByHand(sealed: Uint8Array, index: number, isLast: boolean): Uint8Array {
  const [nonce, place] = [Buffer.alloc(12), Buffer.alloc(5)];
  nonce.writeUInt32BE(index, 8);
  place.writeUInt32BE(index, 0);
  place[4] = isLast ? 1 : 0;
  const chunk = sealed.subarray(index * (CHUNK + TAG), (index + 1) * (CHUNK + TAG));
  const decipher = createDecipheriv("aes-256-gcm", key, nonce).setAAD(place).setAuthTag(chunk.subarray(-TAG));
  return Buffer.concat([decipher.update(chunk.subarray(0, -TAG)), decipher.final()]);
}

test("hazard F2, F9: each chunk has a nonce of its own, and is bound to its place and to whether it is the last", () => {
  const plaintext = new Uint8Array(2 * CHUNK + 100).map((_, index) => index >> 3);
  const sealed = sealChunks(plaintext, key, CHUNK);
  const opened = [0, 1, 2].map((index) => openByHand(sealed, index, index === 2));
  assert.deepEqual(Uint8Array.from(Buffer.concat(opened)), plaintext);
  assert.throws(() => openByHand(sealed, 2, false));
});

test("ciphertext of another length than that of what was sealed is refused, also where all that is looked at is genuine", () => {
  const sealed = sealChunks(new Uint8Array(CHUNK), key, CHUNK);
  assert.deepEqual(openChunks(sealed, key, CHUNK, CHUNK), new Uint8Array(CHUNK));
  for (const bytes of [Buffer.concat([sealed, new Uint8Array(1)]), sealed.subarray(0, -1), new Uint8Array(0)])
    assert.equal(openChunks(bytes, key, CHUNK, CHUNK), undefined);
});
