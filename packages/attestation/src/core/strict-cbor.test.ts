import assert from "node:assert/strict";
import { test } from "node:test";
import { encode } from "cborg";
import { decodeStrictCbor, TaggedCbor } from "./strict-cbor.ts";

class Refused extends Error {}
const decode = (bytes: Uint8Array, limits: Partial<Parameters<typeof decodeStrictCbor>[1]> = {}) =>
  decodeStrictCbor(bytes, { maxBytes: 1 << 20, ...limits }, (detail) => new Refused(detail));

test("hazard A17: an item of exactly the limit is read, one byte more is refused before it is read", () => {
  const bytes = encode(new Uint8Array(30));
  assert.deepEqual(decode(bytes, { maxBytes: bytes.length }).value, new Uint8Array(30));
  assert.throws(() => decode(bytes, { maxBytes: bytes.length - 1 }), new Refused("32 bytes, at most 31 allowed"));
});

test("hazard A17: nesting that no stack can hold is refused like any other malformed item", () => {
  const nested = new Uint8Array(200_000).fill(0x81); // lists of one list
  assert.throws(() => decode(nested), new Refused("nested too deeply"));
});

test("what the decoder refuses is told with its own reason", () => {
  for (const hex of ["a201000100", "1800", "f7", "f97e00", "9f01ff", "c000", "4201"]) {
    assert.throws(
      () => decode(Uint8Array.fromHex(hex)),
      (error) => error instanceof Refused && error.message.startsWith("CBOR decode error"),
    );
  }
});

test("a failure that is not the decoder's refusal is no fault of the bytes, and passes as it is", () => {
  for (const bug of [new TypeError("not bytes"), "thrown as text"]) {
    const bytes = new Proxy(Uint8Array.of(1), {
      get: (target, name) => {
        if (name === "length") return 1;
        if (name === Symbol.iterator) throw bug;
        return Reflect.get(target, name);
      },
    });
    let found: unknown;
    try {
      decode(bytes);
    } catch (error) {
      found = error;
    }
    assert.equal(found, bug);
  }
});

test("bytes behind the first item, lists of indefinite length and tags, where they are allowed", () => {
  assert.deepEqual(decode(Uint8Array.of(1, 2, 3)), { value: 1, rest: Uint8Array.of(2, 3) });
  assert.deepEqual(decode(Uint8Array.fromHex("9f01ff"), { allowIndefinite: true }).value, [1]);
  assert.deepEqual(decode(Uint8Array.fromHex("d2f5"), { tags: [18] }).value, new TaggedCbor(18, true));
});
