import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { NOTHING } from "../testing/mint-x509.ts";
import { DerReader } from "./der-reader.ts";
import { bitString, context, integer, objectIdentifier, octetString, sequence, tlv } from "./der-writer.ts";
import { bitLength, describeKey, ecPublicKey, ed25519PublicKey, isSameKey, readPublicKey, rsaPublicKey } from "./public-key.ts";
import { readCertificateKey, readSignatureAlgorithm } from "./signature-scheme.ts";

const refuse = (detail: string) => new RangeError(detail);
const EC = objectIdentifier("1.2.840.10045.2.1");
const RSA = objectIdentifier("1.2.840.113549.1.1.1");
const ED25519 = objectIdentifier("1.3.101.112");
const ML_DSA_44 = objectIdentifier("2.16.840.1.101.3.4.3.17");
const P256 = objectIdentifier("1.2.840.10045.3.1.7");
const NULL = tlv(0x05);

const ec = (namedCurve: string) => generateKeyPairSync("ec", { namedCurve }).publicKey.export({ type: "spki", format: "der" });
const p256 = ec("P-256");
const point = p256.subarray(-65);
const spki = (algorithm: readonly Uint8Array[], key: Uint8Array, ...more: readonly Uint8Array[]) =>
  sequence(sequence(...algorithm), bitString(key), ...more);
/** Prime or not does not matter to a reader. */
const modulusOf = (bits: number) => (1n << BigInt(bits - 1)) | 1n;
const rsaKey = (modulus: Uint8Array, exponent: Uint8Array, ...more: readonly Uint8Array[]) =>
  spki([RSA, NULL], sequence(modulus, exponent, ...more));
const rsa = (bits: number, exponent = 65537n) => rsaKey(integer(modulusOf(bits)), integer(exponent));
const negative = tlv(0x02, Buffer.concat([Buffer.of(0x80), Buffer.alloc(255, 1)]));
/** A modulus of 2,048 bits that is a power of 65537 modulo every small prime. */
const roca = (() => {
  const primes = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131,
  ];
  const product = [...primes, 137, 139, 149, 151, 157, 163, 167].reduce((all, prime) => all * BigInt(prime), 1n);
  const base = (1n << 2047n) + (1n << 2046n);
  return base - (base % product) + 1n;
})();

test("keys of every kind are read, described and compared", () => {
  const lattice = spki([ML_DSA_44], Buffer.alloc(1312, 1));
  const edwards = spki([ED25519], generateKeyPairSync("ed25519").publicKey.export({ type: "spki", format: "der" }).subarray(-32));
  const keys = [p256, ec("P-384"), ec("P-521"), rsa(2048), edwards, lattice].map(readPublicKey);
  assert.deepEqual(keys.map(describeKey), ["P-256", "P-384", "P-521", "RSA of 2048 bits", "Ed25519", "ML-DSA-44"]);
  for (const key of keys)
    assert.deepEqual(
      keys.map((other) => isSameKey(key, other)),
      keys.map((other) => key === other),
    );
});

const flipped = Uint8Array.from(point, (octet, index) => (index === 64 ? octet ^ 1 : octet));
const malformed: readonly { rule: string; key: Uint8Array; says: RegExp; reason?: string }[] = [
  { rule: "more than 16 KiB", key: new Uint8Array(16 * 1024 + 1), says: /at most 16384/ },
  { rule: "bytes behind the key", key: Buffer.concat([p256, NULL]), says: /2 bytes follow/ },
  { rule: "a third member", key: spki([EC, P256], point, NULL), says: /2 bytes follow/ },
  { rule: "an algorithm of three members", key: spki([EC, P256, NULL], point), says: /2 bytes follow/ },
  { rule: "a point beside the curve", key: spki([EC, P256], flipped), says: /not on the curve/ },
  {
    rule: "a compressed point",
    key: spki([EC, P256], Buffer.concat([Buffer.of(2), point.subarray(1)])),
    says: /not an uncompressed point/,
  },
  { rule: "half a point", key: spki([EC, P256], point.subarray(0, 33)), says: /not an uncompressed point/ },
  { rule: "no curve", key: spki([EC], point), says: /curve is not supported/, reason: "unsupported-algorithm" },
  {
    rule: "a curve that is no identifier",
    key: spki([EC, octetString(P256.subarray(2))], point),
    says: /curve/,
    reason: "unsupported-algorithm",
  },
  { rule: "an unknown curve", key: spki([EC, objectIdentifier("1.3.132.0.10")], point), says: /curve/, reason: "unsupported-algorithm" },
  { rule: "a short Ed25519 key", key: spki([ED25519], Buffer.alloc(31)), says: /not an Ed25519 key/ },
  { rule: "an Ed25519 key with parameters", key: spki([ED25519, NULL], Buffer.alloc(32)), says: /not an Ed25519 key/ },
  { rule: "a short ML-DSA key", key: spki([ML_DSA_44], Buffer.alloc(1311)), says: /not an ML-DSA-44 key/ },
  { rule: "an ML-DSA key with parameters", key: spki([ML_DSA_44, NULL], Buffer.alloc(1312)), says: /not an ML-DSA-44 key/ },
  { rule: "an unknown kind", key: spki([objectIdentifier("1.2.3")], point), says: /kind 1\.2\.3/, reason: "unsupported-algorithm" },
  {
    rule: "bytes behind an RSA key",
    key: spki([RSA, NULL], Buffer.concat([sequence(integer(9), integer(3)), NULL])),
    says: /2 bytes follow/,
  },
  { rule: "an RSA key of three numbers", key: rsaKey(integer(9), integer(3), integer(1)), says: /3 bytes follow/ },
];

for (const { rule, key, says, reason = "parse-error" } of malformed) {
  test(`a public key is refused: ${rule}`, () => {
    assert.throws(() => readPublicKey(key), { code: "EVIDENCE_MALFORMED", reason, message: says });
  });
}

test("keys are made of their numbers, and not of others", () => {
  const [x, y] = [point.subarray(1, 33), point.subarray(33)];
  assert.deepEqual(Buffer.from(ecPublicKey("P-256", x, y)?.spki ?? NOTHING), p256);
  for (const [a, b] of [
    [x.subarray(1), y],
    [x, y.subarray(1)],
    [x, x],
    [x.subarray(0, 31), Buffer.concat([x.subarray(31), y])],
  ] as const)
    assert.equal(ecPublicKey("P-256", a, b), undefined);
  const [modulus, exponent] = [Uint8Array.fromHex(modulusOf(2048).toString(16)), Buffer.of(1, 0, 1)];
  const made = rsaPublicKey(modulus, exponent);
  assert.ok(made !== undefined);
  assert.equal(describeKey(made), "RSA of 2048 bits");
  assert.equal(isSameKey(made, readPublicKey(rsa(2048))), true);
  assert.deepEqual([rsaPublicKey(Buffer.alloc(4), exponent), rsaPublicKey(modulus, NOTHING)], [undefined, undefined]);
  assert.equal(ed25519PublicKey(Buffer.alloc(32, 9)).spki.length, 44);
  assert.throws(() => ed25519PublicKey(Buffer.alloc(33)), TypeError);
  assert.deepEqual(
    ["00ff", "01", "7f01", "0100"].map((hex) => bitLength(Uint8Array.fromHex(hex))),
    [8, 1, 15, 9],
  );
});

/** What is wrong with a key that is to certify something; undefined for one that may. */
const certifying: readonly (readonly [rule: string, key: Uint8Array, fault: string | undefined])[] = [
  ["P-256", p256, undefined],
  ["P-384", ec("P-384"), undefined],
  ["P-521", ec("P-521"), "is on the curve 1.3.132.0.35"],
  ["an unknown curve", spki([EC, objectIdentifier("1.3.132.0.10")], point), "is on the curve 1.3.132.0.10"],
  ["no curve", spki([EC], point), "does not name its curve"],
  ["a curve's parameters", spki([EC, sequence()], point), "does not name its curve"],
  ["a compressed point", spki([EC, P256], point.subarray(0, 33)), "is not an uncompressed point"],
  ["Ed25519", spki([ED25519], Buffer.alloc(32)), undefined],
  ["a short Ed25519 key", spki([ED25519], Buffer.alloc(31)), "is not an Ed25519 key"],
  ["an Ed25519 key with parameters", spki([ED25519, NULL], Buffer.alloc(32)), "is not an Ed25519 key"],
  ["ML-DSA", spki([ML_DSA_44], Buffer.alloc(1312)), "is of the kind 2.16.840.1.101.3.4.3.17"],
  ["RSA with 2048 bits", rsa(2048), undefined],
  ["RSA with 8192 bits", rsa(8192), undefined],
  ["RSA with 2040 bits", rsa(2040), "is an RSA key of 2040 bits"],
  ["RSA with 8200 bits", rsa(8200), "is an RSA key of 8200 bits"],
  ["RSA with 2052 bits", rsa(2052), "is an RSA key of 2052 bits"],
  ["RSA with a negative modulus", rsaKey(negative, integer(65537n)), "is an RSA key of 2048 bits"],
  ["CVE-2017-15361", rsaKey(integer(roca), integer(65537n)), "is an RSA key that can be factored (CVE-2017-15361)"],
  ...[65539n, 0x7fff_ffffn].map((exponent) => [`the exponent ${exponent}`, rsa(2048, exponent), undefined] as const),
  ...[3n, 65535n, 65538n, 0x8000_0001n, 0x1_0000_0001n].map(
    (exponent) => [`the exponent ${exponent}`, rsa(2048, exponent), "is an RSA key with a small, huge or even exponent"] as const,
  ),
  [
    "a negative exponent",
    rsaKey(integer(modulusOf(2048)), tlv(0x02, Buffer.of(0x81, 0, 0, 1))),
    "is an RSA key with a small, huge or even exponent",
  ],
];

for (const [rule, key, fault] of certifying) {
  test(`hazard A8: ${rule} ${fault === undefined ? "may" : "must not"} certify`, () => {
    const read = readCertificateKey(key, refuse);
    assert.equal(typeof read === "string" ? read : undefined, fault);
    if (typeof read !== "string") assert.equal(read.spki, key);
  });
}

const SHA256 = objectIdentifier("2.16.840.1.101.3.4.2.1");
const SHA384 = objectIdentifier("2.16.840.1.101.3.4.2.2");
const MGF1 = objectIdentifier("1.2.840.113549.1.1.8");
const PSS = objectIdentifier("1.2.840.113549.1.1.10");
const ECDSA = objectIdentifier("1.2.840.10045.4.3.2");
const PKCS1 = objectIdentifier("1.2.840.113549.1.1.11");
const hashMember = context(0, sequence(SHA256));
const maskMember = context(1, sequence(MGF1, sequence(SHA256)));
const saltMember = context(2, integer(32));
const pss = (...members: readonly Uint8Array[]) => sequence(PSS, sequence(...members));
const PSS_SCHEME = { kind: "rsa-pss", digest: "sha256", saltBytes: 32 };

const schemes: readonly (readonly [rule: string, algorithm: Uint8Array, scheme: unknown])[] = [
  ["ECDSA", sequence(ECDSA), { kind: "ecdsa", digest: "sha256", encoding: "der" }],
  ["ECDSA with NULL", sequence(ECDSA, NULL), undefined],
  ["Ed25519", sequence(ED25519), { kind: "eddsa" }],
  ["RSA with NULL", sequence(PKCS1, NULL), { kind: "rsa-pkcs1", digest: "sha256" }],
  ["RSA without parameters", sequence(PKCS1), undefined],
  ["RSA with a NULL that is not empty", sequence(PKCS1, tlv(0x05, Buffer.of(0))), undefined],
  ["RSA with other parameters", sequence(PKCS1, octetString(NOTHING)), undefined],
  ["SHA-1", sequence(objectIdentifier("1.2.840.113549.1.1.5"), NULL), undefined],
  ["RSA-PSS", pss(hashMember, maskMember, saltMember), PSS_SCHEME],
  ["RSA-PSS with a digest that has NULL", pss(context(0, sequence(SHA256, NULL)), maskMember, saltMember), PSS_SCHEME],
  ["RSA-PSS with its trailer", pss(hashMember, maskMember, saltMember, context(3, integer(1))), PSS_SCHEME],
  ["RSA-PSS with another trailer", pss(hashMember, maskMember, saltMember, context(3, integer(2))), undefined],
  ["RSA-PSS without parameters", sequence(PSS), undefined],
  ["RSA-PSS with NULL", sequence(PSS, NULL), undefined],
  ["RSA-PSS without a digest", pss(maskMember, saltMember), undefined],
  ["RSA-PSS without a digest or mask", pss(saltMember), undefined],
  ["RSA-PSS without a mask", pss(hashMember, saltMember), undefined],
  ["RSA-PSS without a salt", pss(hashMember, maskMember), undefined],
  ["RSA-PSS with two digests", pss(hashMember, context(1, sequence(MGF1, sequence(SHA384))), saltMember), undefined],
  ["RSA-PSS with another mask", pss(hashMember, context(1, sequence(PSS, sequence(SHA256))), saltMember), undefined],
  ["RSA-PSS with an unknown digest", pss(context(0, sequence(MGF1)), context(1, sequence(MGF1, sequence(MGF1))), saltMember), undefined],
  ["another algorithm with the parameters of RSA-PSS", sequence(MGF1, sequence(hashMember, maskMember, saltMember)), undefined],
];

for (const [rule, algorithm, scheme] of schemes) {
  test(`RFC 4055, RFC 5758: the signature algorithm ${rule} is ${scheme === undefined ? "unknown" : "known"}`, () => {
    assert.deepEqual(readSignatureAlgorithm(new DerReader(algorithm, "test", refuse), "algorithm").scheme, scheme);
  });
}

test("a signature algorithm with more than its parameters is refused", () => {
  for (const algorithm of [
    sequence(ECDSA, NULL, NULL),
    pss(hashMember, maskMember, saltMember, context(4)),
    pss(context(0, sequence(SHA256, NULL, NULL)), maskMember, saltMember),
  ]) {
    assert.throws(() => readSignatureAlgorithm(new DerReader(algorithm, "test", refuse), "algorithm"), { message: /2 bytes follow/ });
  }
  const odd = pss(context(0, sequence(SHA256, integer(1))), maskMember, saltMember);
  assert.throws(() => readSignatureAlgorithm(new DerReader(odd, "test", refuse), "algorithm"), { message: /digest parameters has tag/ });
});
