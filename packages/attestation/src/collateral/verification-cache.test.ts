import assert from "node:assert/strict";
import { test } from "node:test";
import { cached, VerificationCache, withCache } from "./verification-cache.ts";

test("the cache of one verification makes a value once for the same arrays, and again for others, fewer, or another kind", () => {
  const given = new VerificationCache();
  assert.equal(withCache({ cache: given }).cache, given);
  const { cache } = withCache({});
  assert.notEqual(withCache({}).cache, cache, "nothing is left for the next verification");
  let made = 0;
  const get = (kind: string, ...inputs: Uint8Array[]) => cache.get(kind, inputs, () => ++made);
  const [a, b] = [Uint8Array.of(1), Uint8Array.of(2)];
  assert.deepEqual([get("x", a, b), get("x", a, b)], [1, 1]);
  assert.deepEqual([get("y", a, b), get("x", a), get("x", b, a), get("x", a, b, b)], [2, 3, 4, 5]);
  assert.equal(get("x", Uint8Array.from(a), b), 6, "equal bytes of another array are looked at again");
  assert.throws(() => cache.get("z", [a], () => assert.fail("refused")), /refused/);
  assert.equal(get("z", a), 7, "what was thrown is not kept");
  assert.equal(cache.size, 7);
});

test("with a cache a value is made once, without one for each use", () => {
  for (const [cache, expected] of [
    [new VerificationCache(), [1, 1]],
    [undefined, [1, 2]],
  ] as const) {
    let made = 0;
    const get = () => cached(cache, "x", [Uint8Array.of(1)], () => ++made);
    assert.deepEqual([get(), get()], expected);
  }
});
