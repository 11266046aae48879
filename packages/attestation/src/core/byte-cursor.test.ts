import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteCursor } from "./byte-cursor.ts";

test("nothing is taken beyond the end, and the error says where", () => {
  const cursor = new ByteCursor(Uint8Array.of(1, 2, 3), (detail) => new RangeError(detail));
  assert.equal(cursor.uint(2, "version"), 0x0201);
  assert.throws(() => cursor.take(2, "flags"), new RangeError("flags needs 2 bytes at offset 2, 1 left"));
  assert.deepEqual([cursor.take(1, "flags"), cursor.left], [Uint8Array.of(3), 0]);
});
