import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { readPublicKey } from "../x509/public-key.ts";
import type { NamedCurve, PublicKey, SignatureQuestion, SignatureScheme } from "./crypto-provider.ts";
import { withProvider } from "./current-provider.ts";
import { toSideBySide } from "./ecdsa-signature.ts";
import { platformProvider as openssl } from "./node-provider.ts";
import { isSignedBy } from "./signature.ts";
import { platformProvider as web } from "./web-provider.ts";
import { answerWithWebCrypto } from "./web-signature.ts";

const CURVES: readonly NamedCurve[] = ["P-256", "P-384", "P-521"];
const COORDINATE_BYTES = { "P-256": 32, "P-384": 48, "P-521": 66 } as const;
const spkiOf = (key: KeyObject): Uint8Array => Uint8Array.from(key.export({ type: "spki", format: "der" }));
const message = new Uint8Array(100).fill(7);

for (const algorithm of ["sha1", "sha256", "sha384", "sha512", "sm3"] as const) {
  test(`${algorithm} is the same without node:crypto, however the input is split`, () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 4 }), (parts) => {
        assert.equal(web.hash(algorithm, parts).toHex(), openssl.hash(algorithm, parts).toHex());
      }),
    );
  });
}

for (const curve of CURVES) {
  test(`hazard A8: a point beside ${curve} is no key, on both providers`, () => {
    const spki = spkiOf(generateKeyPairSync("ec", { namedCurve: curve }).publicKey);
    assert.equal(web.isUsableKey(readPublicKey(spki)), true);
    const length = 2 * COORDINATE_BYTES[curve];
    const changed = fc
      .tuple(fc.nat(length - 1), fc.nat(255))
      .map(([at, value]) => Uint8Array.from(spki).fill(value, at - length, at - length + 1 || undefined));
    const filled = fc.constantFrom(0, 0xff).map((value) => Uint8Array.from(spki).fill(value, -length));
    fc.assert(
      fc.property(fc.oneof(changed, filled), (bytes) => {
        const key: PublicKey = { kind: "ec", curve, spki: bytes };
        assert.equal(web.isUsableKey(key), openssl.isUsableKey(key));
      }),
    );
  });
}

test("DER signatures have one spelling: negative, padded, cut and longer ones are none", () => {
  const r = new Uint8Array(32).fill(0x11);
  const der = (...content: readonly number[]) => Uint8Array.of(0x30, content.length, ...content);
  assert.deepEqual(toSideBySide(der(2, 1, 5, 2, 1, 6), 1), Uint8Array.of(5, 6));
  assert.deepEqual(toSideBySide(der(2, 2, 0, 0x80, 2, 1, 6), 1), Uint8Array.of(0x80, 6));
  const refused = {
    negative: der(2, 1, 0x80, 2, 1, 6),
    "negative in its second integer": der(2, 1, 6, 2, 1, 0x80),
    padded: der(2, 2, 0, 5, 2, 1, 6),
    "one integer": der(2, 1, 5),
    "three integers": der(2, 1, 5, 2, 1, 6, 2, 1, 7),
    "bytes behind": Uint8Array.of(...der(2, 1, 5, 2, 1, 6), 0),
    "an integer longer than a coordinate": der(2, 32, ...r, 2, 1, 6),
    nothing: new Uint8Array(0),
  };
  for (const [rule, bytes] of Object.entries(refused)) assert.equal(toSideBySide(bytes, 1), undefined, rule);
});

interface Signer {
  readonly scheme: SignatureScheme;
  readonly pair: { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
  readonly options?: { readonly dsaEncoding?: "der" | "ieee-p1363"; readonly padding?: number; readonly saltLength?: number };
}

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const signers: Readonly<Record<string, Signer>> = {
  ...Object.fromEntries(
    CURVES.flatMap((curve) =>
      (["der", "ieee-p1363"] as const).map((encoding) => {
        const pair = generateKeyPairSync("ec", { namedCurve: curve });
        return [
          `ECDSA ${curve} ${encoding}`,
          { scheme: { kind: "ecdsa", digest: "sha384", encoding }, pair, options: { dsaEncoding: encoding } },
        ];
      }),
    ),
  ),
  "RSASSA-PKCS1-v1_5": { scheme: { kind: "rsa-pkcs1", digest: "sha256" }, pair: rsa, options: { padding: 1 } },
  "RSASSA-PSS": { scheme: { kind: "rsa-pss", digest: "sha256", saltBytes: 32 }, pair: rsa, options: { padding: 6, saltLength: 32 } },
  Ed25519: { scheme: { kind: "eddsa" }, pair: generateKeyPairSync("ed25519") },
  "ML-DSA-65": { scheme: { kind: "ml-dsa" }, pair: generateKeyPairSync("ml-dsa-65") },
};

for (const [name, { scheme, pair, options }] of Object.entries(signers)) {
  test(`hazard A1: OpenSSL and WebCrypto answer the same for ${name}, whatever byte is changed`, async () => {
    const digest = scheme.kind === "eddsa" || scheme.kind === "ml-dsa" ? null : scheme.digest;
    const signature = Uint8Array.from(sign(digest, message, { key: pair.privateKey, ...options }));
    const question: SignatureQuestion = { scheme, key: readPublicKey(spkiOf(pair.publicKey)), message, signature };
    assert.equal(openssl.isSigned(question), true);
    assert.equal(await answerWithWebCrypto(question), true);
    const mutants = fc
      .tuple(fc.nat(signature.length - 1), fc.nat(255))
      .map(([at, value]) => Uint8Array.from(signature).fill(value, at, at + 1));
    const cut = fc.nat(signature.length).map((length) => signature.subarray(0, length));
    await fc.assert(
      fc.asyncProperty(fc.oneof(mutants, cut), async (changed) => {
        const mutant = { ...question, signature: changed };
        assert.equal(await answerWithWebCrypto(mutant), openssl.isSigned(mutant));
      }),
      { numRuns: 60 },
    );
  });
}

test("hazard A8: a coordinate has one spelling: none that only equals one modulo the prime", () => {
  const spki = spkiOf(generateKeyPairSync("ec", { namedCurve: "P-521" }).publicKey);
  const prime = 2n ** 521n - 1n;
  for (const at of [-132, -66]) {
    const coordinate = BigInt(`0x${spki.subarray(at, at + 66 || undefined).toHex()}`) + prime;
    const changed = Uint8Array.from(spki);
    changed.set(Uint8Array.fromHex(coordinate.toString(16).padStart(132, "0")), spki.length + at);
    const key: PublicKey = { kind: "ec", curve: "P-521", spki: changed };
    assert.deepEqual([web.isUsableKey(key), openssl.isUsableKey(key)], [false, false]);
    const question = { scheme: { kind: "ecdsa", digest: "sha512", encoding: "der" }, key, message, signature: message } as const;
    assert.equal(openssl.isSigned(question), false, "a key that cannot be read has signed nothing");
  }
});

test("keys that are on no curve are not looked for on one", () => {
  for (const pair of [rsa, generateKeyPairSync("ed25519")]) assert.equal(web.isUsableKey(readPublicKey(spkiOf(pair.publicKey))), true);
});

test("hazard A8: a key of another kind than the scheme's has signed nothing, whatever the provider says", () => {
  const believing = { ...openssl, isSigned: () => true };
  const [edwards, weierstrass] = [generateKeyPairSync("ed25519"), generateKeyPairSync("ec", { namedCurve: "P-256" })].map((pair) =>
    readPublicKey(spkiOf(pair.publicKey)),
  );
  assert.ok(edwards !== undefined && weierstrass !== undefined);
  const ecdsa = { kind: "ecdsa", digest: "sha256", encoding: "ieee-p1363" } as const;
  // Bytes that would be a point of small order in Ed25519 are an ordinary number elsewhere.
  const signature = Uint8Array.of(1, ...new Uint8Array(63));
  const isSigned = (scheme: SignatureScheme, key: PublicKey) => withProvider(believing, () => isSignedBy(scheme, key, message, signature));
  assert.deepEqual(
    [isSigned(ecdsa, edwards), isSigned({ kind: "eddsa" }, weierstrass), isSigned(ecdsa, weierstrass)],
    [false, false, true],
  );
});

test("keys and signatures that WebCrypto refuses as data have signed nothing; without WebCrypto there is no answer", async () => {
  const question = {
    scheme: { kind: "eddsa" },
    key: { kind: "ed25519", spki: new Uint8Array(44) },
    message,
    signature: new Uint8Array(64),
  } as const;
  const failing = (name: string) => ({
    importKey: () => Promise.reject(new DOMException("", name)),
    verify: () => Promise.resolve(true),
  });
  for (const name of ["DataError", "OperationError"]) assert.equal(await answerWithWebCrypto(question, failing(name)), false);
  const present = Object.getOwnPropertyDescriptor(globalThis, "crypto") ?? assert.fail();
  Object.defineProperty(globalThis, "crypto", { configurable: true, value: undefined });
  try {
    await assert.rejects(answerWithWebCrypto(question), { code: "CRYPTO_UNAVAILABLE", message: /has no WebCrypto/ });
  } finally {
    Object.defineProperty(globalThis, "crypto", present);
  }
});

test("CRYPTO_UNAVAILABLE, never an answer: no WebCrypto, an algorithm it lacks, a synchronous question", async () => {
  const question = {
    scheme: { kind: "eddsa" },
    key: { kind: "ed25519", spki: new Uint8Array(44) },
    message,
    signature: new Uint8Array(64),
  } as const;
  const lacking = { importKey: () => Promise.reject(new DOMException("", "NotSupportedError")), verify: () => Promise.resolve(true) };
  await assert.rejects(answerWithWebCrypto(question, lacking), { code: "CRYPTO_UNAVAILABLE", message: /Ed25519/ });
  assert.throws(() => web.isSigned(question), { code: "CRYPTO_UNAVAILABLE", remedy: /verifyAsync/ });
});

test("hazard A8: an Ed25519 key or nonce of small order signs nothing, whatever the provider says", () => {
  const believing = { ...openssl, isSigned: () => true };
  const [scheme, spkiHead] = [{ kind: "eddsa" } as const, "302a300506032b6570032100"];
  const isSigned = (point: string, nonce: string) =>
    withProvider(believing, () =>
      isSignedBy(scheme, readPublicKey(Uint8Array.fromHex(spkiHead + point)), message, Uint8Array.fromHex(nonce + "00".repeat(32))),
    );
  const [neutral, order2, order8] = [
    `01${"00".repeat(31)}`,
    `ec${"ff".repeat(30)}7f`,
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
  ];
  const usual = spkiOf(generateKeyPairSync("ed25519").publicKey).subarray(-32).toHex();
  for (const point of [neutral, order2, order8]) {
    assert.equal(isSigned(point, usual), false);
    assert.equal(isSigned(usual, point), false);
  }
  assert.equal(isSigned(usual, usual), true);
});
