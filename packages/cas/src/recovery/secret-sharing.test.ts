import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { combineShares, multiply, type Share, splitSecret } from "./secret-sharing.ts";

const BYTES = Array.from({ length: 256 }, (_, byte) => byte);

/** Multiplication by polynomial division, as one learns it: what `multiply` must agree with. */
function slowProduct(a: number, b: number): number {
  let product = 0n;
  for (let bit = 0n; bit < 8n; bit += 1n) if ((BigInt(b) >> bit) & 1n) product ^= BigInt(a) << bit;
  for (let bit = 15n; bit >= 8n; bit -= 1n) if ((product >> bit) & 1n) product ^= 0x11bn << (bit - 8n);
  return Number(product);
}

test("C-80 the field: every product is the right one, the worked example of FIPS 197 among them", () => {
  assert.equal(multiply(0x57, 0x83), 0xc1);
  for (const a of BYTES) for (const b of BYTES) if (multiply(a, b) !== slowProduct(a, b)) assert.fail(`${a} · ${b}`);
});

function subsets<T>(all: readonly T[], size: number): T[][] {
  if (size === 0) return [[]];
  return all.flatMap((first, at) => subsets(all.slice(at + 1), size - 1).map((rest) => [first, ...rest]));
}

test("C-80 every set of enough shares gives the secret, in any order; every smaller one gives something else", () => {
  const secret = randomBytes(32);
  for (const [threshold, count] of [
    [1, 1],
    [1, 3],
    [2, 3],
    [3, 5],
    [5, 6],
  ] as const) {
    const shares = splitSecret(secret, count, threshold, randomBytes);
    for (let size = 1; size <= count; size += 1) {
      for (const some of subsets(shares, size)) {
        const combined = combineShares(some.toReversed());
        assert.equal(Buffer.from(combined).equals(secret), size >= threshold, `${size} of ${threshold} of ${count}`);
      }
    }
  }
});

test("C-80 one share too few says nothing: with it every byte is as possible as every other", () => {
  const [known] = splitSecret(Uint8Array.of(0x2a), 3, 2, () => Uint8Array.of(0x77));
  if (known === undefined) assert.fail();
  for (const at of [2, 3]) {
    const secrets: Set<number | undefined> = new Set(BYTES.map((byte) => combineShares([known, { at, bytes: Uint8Array.of(byte) }])[0]));
    assert.equal(secrets.size, 256, "each value of the missing share gives another secret");
  }
});

test("C-80 splitting and combining are inverse for all secrets, counts and thresholds up to the largest", () => {
  const sizes = fc
    .integer({ min: 1, max: 255 })
    .chain((count) => fc.tuple(fc.constant(count), fc.integer({ min: 1, max: Math.min(count, 20) })));
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 40 }),
      sizes,
      fc.infiniteStream(fc.nat(1e6)),
      (secret, [count, threshold], picks) => {
        const left: Share[] = splitSecret(secret, count, threshold, randomBytes);
        const some = Array.from({ length: threshold }, () => left.splice((picks.next().value ?? 0) % left.length, 1)).flat();
        assert.deepEqual(combineShares(some), secret);
      },
    ),
    { numRuns: 60 },
  );
});

test("C-80 sizes and shares that make no sense are refused", () => {
  const secret = randomBytes(4);
  for (const [count, threshold] of [
    [0, 0],
    [3, 0],
    [3, 4],
    [256, 2],
    [2.5, 2],
  ] as const) {
    assert.throws(() => splitSecret(secret, count, threshold, randomBytes), RangeError);
  }
  const share = { at: 1, bytes: secret };
  for (const shares of [
    [],
    [share, share],
    [{ at: 0, bytes: secret }],
    [{ at: 256, bytes: secret }],
    [share, { at: 2, bytes: randomBytes(3) }],
  ]) {
    assert.throws(() => combineShares(shares), RangeError);
  }
});
