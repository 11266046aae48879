import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteCursor, ByteWriter } from "./byte-cursor.ts";

const cursorOver = (bytes: Uint8Array) => new ByteCursor(bytes, (detail) => new RangeError(detail));

test("text is read up to its limit, in UTF-8 and with its length before it", () => {
  const bytes = new ByteWriter().text("äb").finish();
  assert.equal(cursorOver(bytes).text("name", 3), "äb");
  assert.throws(() => cursorOver(bytes).text("name", 2), new RangeError("name has 3 bytes, at most 2 are allowed"));
  assert.throws(() => cursorOver(bytes.subarray(0, 4)).text("name", 3), new RangeError("name needs 3 bytes at offset 2, 2 left"));
  assert.throws(() => cursorOver(Uint8Array.of(0, 1, 0xff)).text("name", 3), new RangeError("name is not UTF-8"));
});

test("a number that does not fit is a fault of the program", () => {
  assert.deepEqual(
    new ByteWriter()
      .uint(1, 255)
      .uint(2, 0x0102)
      .uint(6, 2 ** 48 - 1)
      .finish(),
    Uint8Array.fromHex("ff0102ffffffffffff"),
  );
  for (const value of [256, -1, 0.5, Number.NaN]) assert.throws(() => new ByteWriter().uint(1, value), TypeError);
});
