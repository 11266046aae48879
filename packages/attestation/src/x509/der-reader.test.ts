import assert from "node:assert/strict";
import { test } from "node:test";
import { DerReader, readList, readNamedBits } from "./der-reader.ts";
import { isRocaModulus } from "./rsa-modulus.ts";

const reader = (hex: string) => new DerReader(Uint8Array.fromHex(hex), "test", (detail) => new RangeError(detail));

const refused: readonly { rule: string; hex: string; read: (reader: DerReader) => unknown; says: RegExp }[] = [
  { rule: "nothing where a value must be", hex: "", read: (r) => r.any("x"), says: /missing at offset 0/ },
  { rule: "a tag without a length", hex: "05", read: (r) => r.any("x"), says: /missing at offset 0/ },
  { rule: "nothing where a value of one tag must be", hex: "", read: (r) => r.value(0x30, "x"), says: /missing at offset 0/ },
  { rule: "a tag of several bytes", hex: "1f8101", read: (r) => r.any("x"), says: /several bytes/ },
  { rule: "an indefinite length", hex: "30800000", read: (r) => r.any("x"), says: /indefinite/ },
  { rule: "a length of five octets", hex: "30850000000001", read: (r) => r.any("x"), says: /excessive/ },
  { rule: "a long length below 128", hex: "30810500000000", read: (r) => r.any("x"), says: /not minimal/ },
  { rule: "a length with a leading zero", hex: "3082008000", read: (r) => r.any("x"), says: /not minimal/ },
  { rule: "a length of 4 GiB", hex: "3084ffffffff", read: (r) => r.any("x"), says: /needs 4294967295 bytes/ },
  { rule: "another tag", hex: "0500", read: (r) => r.open(0x30, "x"), says: /tag 0x5, expected 0x30/ },
  { rule: "an empty integer", hex: "0200", read: (r) => r.integer("x"), says: /empty/ },
  { rule: "an integer with a leading zero", hex: "02020001", read: (r) => r.integer("x"), says: /not minimal/ },
  { rule: "a negative integer with leading ones", hex: "0202ff80", read: (r) => r.integer("x"), says: /not minimal/ },
  { rule: "a negative count", hex: "0201ff", read: (r) => r.smallInteger("x"), says: /negative/ },
  { rule: "a count of 40 bits", hex: "02050100000000", read: (r) => r.smallInteger("x"), says: /2\^31/ },
  { rule: "a boolean of another value", hex: "010101", read: (r) => r.boolean("x"), says: /boolean/ },
  { rule: "an empty boolean", hex: "0100", read: (r) => r.boolean("x"), says: /boolean/ },
  { rule: "a boolean of two bytes", hex: "01020000", read: (r) => r.boolean("x"), says: /boolean/ },
  { rule: "an empty list", hex: "", read: (r) => readList(r, 2, "things", (each) => each.any("x")), says: /no things/ },
  {
    rule: "a list that is too long",
    hex: "050005000500",
    read: (r) => readList(r, 2, "things", (each) => each.any("x")),
    says: /more than 2/,
  },
  { rule: "named bits without a count", hex: "0300", read: (r) => readNamedBits(r, "x"), says: /not a bit string/ },
  { rule: "unused bits of no byte", hex: "030101", read: (r) => readNamedBits(r, "x"), says: /not a bit string/ },
  { rule: "a bit string with unused bits", hex: "03020780", read: (r) => r.byteString("x"), says: /whole bytes/ },
  { rule: "named bits with unused bits set", hex: "030206a1", read: (r) => readNamedBits(r, "x"), says: /unused bits/ },
  { rule: "eight unused bits", hex: "030208a0", read: (r) => readNamedBits(r, "x"), says: /not a bit string/ },
  { rule: "an empty object identifier", hex: "0600", read: (r) => r.oid("x"), says: /not an object identifier/ },
  { rule: "an object identifier of 65 bytes", hex: `0641${"2a".repeat(65)}`, read: (r) => r.oid("x"), says: /not an object identifier/ },
  { rule: "an object identifier with padding", hex: "06032a8001", read: (r) => r.oid("x"), says: /not minimal/ },
  { rule: "an object identifier that ends too early", hex: "06022a86", read: (r) => r.oid("x"), says: /too early/ },
  { rule: "an arc beyond 2^53", hex: "060a2affffffffffffffff7f", read: (r) => r.oid("x"), says: /2\^53/ },
  { rule: "a UTC time without seconds", hex: "170b323630363135313230305a", read: (r) => r.time("x"), says: /not a time/ },
  { rule: "a general time before 2050", hex: "180f32303236303631353132303030305a", read: (r) => r.time("x"), says: /not a time/ },
  { rule: "the 30th of February", hex: "170d3236303233303132303030305a", read: (r) => r.time("x"), says: /not a time/ },
  { rule: "the month 13", hex: "170d3236313330313132303030305a", read: (r) => r.time("x"), says: /not a time/ },
  { rule: "the day 0", hex: "170d3236303630303132303030305a", read: (r) => r.time("x"), says: /not a time/ },
  { rule: "the minute 60", hex: "170d3236303631353132363030305a", read: (r) => r.time("x"), says: /not a time/ },
  { rule: "the second 60", hex: "170d3236303631353132303036305a", read: (r) => r.time("x"), says: /not a time/ },
  { rule: "a time under another tag", hex: "160f32303530303631353132303030305a", read: (r) => r.time("x"), says: /not a time/ },
  { rule: "the hour 24", hex: "170d3236303631353234303030305a", read: (r) => r.time("x"), says: /not a time/ },
  { rule: "bytes behind the last member", hex: "0500", read: (r) => r.finish(), says: /2 bytes follow/ },
];

for (const { rule, hex, read, says } of refused) {
  test(`DER refuses ${rule}`, () => assert.throws(() => read(reader(hex)), { name: "RangeError", message: says }));
}

test("DER reads what it should", () => {
  assert.equal(reader("06092a864886f84d010d01").oid("x"), "1.2.840.113741.1.13.1");
  assert.equal(reader("0603883703").oid("x"), "2.999.3");
  assert.equal(reader("170d3236303631353132303030305a").time("x"), Date.parse("2026-06-15T12:00:00Z"));
  assert.equal(reader("170d3530303631353132303030305a").time("x"), Date.parse("1950-06-15T12:00:00Z"));
  assert.equal(reader("180f32303530303631353132303030305a").time("x"), Date.parse("2050-06-15T12:00:00Z"));
  assert.deepEqual(readNamedBits(reader("03020106"), "x"), [false, false, false, false, false, true, true]);
  assert.equal(reader("02020080").smallInteger("x"), 128);
  assert.equal(reader("020100").smallInteger("x"), 0);
  assert.equal(reader("0202ff7f").integer("x").toHex(), "ff7f");
  assert.equal(reader("06042a818001").oid("x"), "1.2.16385");
  assert.deepEqual([reader("010100").boolean("x"), reader("0101ff").boolean("x")], [false, true]);
  assert.deepEqual(readNamedBits(reader("030100"), "x"), []);
  assert.deepEqual(
    [reader("0500").optional(5, "x")?.tag, reader("0500").optional(4, "x"), reader("0500").openOptional(4, "x")],
    [5, undefined, undefined],
  );
  assert.equal(reader("30020500").openOptional(0x30, "x")?.value(5, "y").bytes.toHex(), "0500");
  assert.deepEqual(
    readList(reader("05000400"), 2, "things", (each) => each.any("x").tag),
    [5, 4],
  );
});

test("CVE-2017-15361: a modulus made of powers of 65537 is told from others", () => {
  const primes = [3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113];
  const product = [...primes, 127, 131, 137, 139, 149, 151, 157, 163, 167].map(BigInt).reduce((a, b) => a * b, 1n);
  let power = 1n;
  for (let exponent = 0; exponent < 1234; exponent++) power = (power * 65537n) % product;
  assert.equal(isRocaModulus(power + product * 0x1234_5678_9abc_def1n), true);
  assert.equal(isRocaModulus(power + product * 0x1234_5678_9abc_def1n + 2n), false);
  assert.equal(isRocaModulus((2n ** 127n - 1n) * (2n ** 521n - 1n)), false, "a product of two primes that no small one divides");
});
