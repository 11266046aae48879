import assert from "node:assert/strict";
import {
  createCipheriv,
  createHmac,
  diffieHellman,
  encapsulate,
  generateKeyPairSync,
  type KeyObject,
  pbkdf2Sync,
  publicEncrypt,
  sign,
} from "node:crypto";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import type { CaseVerdict } from "../vector-case.ts";
import { judgeWycheproofCase } from "./judge-wycheproof.ts";

type Members = Record<string, unknown>;

/** Judges one group: a test as it was made, which is valid, and others with members replaced, which are not. */
function judge(algorithm: string, group: Members, made: Members, ...spoilt: readonly Members[]): Promise<CaseVerdict> {
  const tests = [
    { tcId: 1, result: "valid", ...made },
    ...spoilt.map((members, index) => ({ tcId: index + 2, result: "invalid", ...made, ...members })),
  ];
  const file = gzipSync(JSON.stringify({ algorithm, testGroups: [{ ...group, tests }] }));
  return judgeWycheproofCase({
    family: "wycheproof",
    name: algorithm,
    expected: {},
    files: new Map([["vectors.json.gz", Uint8Array.from(file)]]),
    roots: new Map(),
  });
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const spkiHex = (key: KeyObject): string => hex(key.export({ format: "der", type: "spki" }));
const message = Buffer.from("vouched for");
const flipped = (text: string): string => `${text.slice(0, -1)}${text.endsWith("0") ? "1" : "0"}`;
const key = Buffer.alloc(16, 7);
const iv = Buffer.alloc(12, 9);

const cases: readonly { readonly what: string; readonly judged: () => Promise<CaseVerdict> }[] = [
  { what: "AES-CCM with a tag of 8 bytes", judged: () => judgeSealed("AES-CCM", "aes-128-ccm", 8) },
  { what: "AES-GCM", judged: () => judgeSealed("AES-GCM", "aes-128-gcm", 16) },
  { what: "AES-GCM-SIV", judged: () => judgeSealed("AES-GCM-SIV", "aes-128-gcm-siv", 16) },
  { what: "AES in CBC mode with HMAC", judged: judgeCbcHmac },
  { what: "AES key wrap", judged: judgeKeyWrap },
  {
    what: "ECDSA over SHA3-384",
    judged: () => judgeSigned("EcdsaVerify", "ECDSA", generateKeyPairSync("ec", { namedCurve: "brainpoolP384r1" }), "SHA3-384"),
  },
  {
    what: "RSA PKCS #1 v1.5 over SHA-512/256",
    judged: () => judgeSigned("RsassaPkcs1Verify", "RSASSA", generateKeyPairSync("rsa", { modulusLength: 2048 }), "SHA-512/256"),
  },
  { what: "ML-DSA-65", judged: judgeMlDsa },
  { what: "ML-KEM-768 from a seed", judged: judgeMlKem },
  { what: "ECDH on a named curve", judged: judgeEcdh },
  { what: "RSA-OAEP with a label", judged: judgeOaep },
  { what: "PBES2", judged: judgePbes2 },
  { what: "KMAC", judged: judgeKmac },
];
for (const { what, judged } of cases) {
  test(`${what}: what node:crypto made is accepted, what was changed is refused`, async () => {
    const { isRight, reason } = await judged();
    assert.deepEqual({ isRight, reason }, { isRight: true, reason: undefined });
  });
}

test("a deviation is told with the number of its test", async () => {
  const tag = hex(createHmac("sha256", key).update(message).digest());
  const group = { type: "MacTest", tagSize: 256 };
  const made = { key: hex(key), msg: hex(message), tag, comment: "ours" };
  assert.match((await judge("HMACSHA256", group, made, { comment: "the same" })).reason ?? "", /^2 accepted, is invalid \(the same\)/);
  assert.match((await judge("HMACSHA256", group, { ...made, tag: flipped(tag) })).reason ?? "", /^1 refused, is valid \(ours\)/);
});

test("what node:crypto lacks, and what nobody knows, is said and not called right", async () => {
  const lacking = [
    { algorithm: "AEGIS256", type: "AeadTest" },
    { algorithm: "SEED-GCM", type: "AeadTest" },
    { algorithm: "SipHash-2-4", type: "MacTest" },
    { algorithm: "HMACMD7", type: "MacTest" },
    { algorithm: "VMAC-AES", type: "MacWithIvTest" },
    { algorithm: "ARIA-WRAP", type: "KeywrapTest" },
    { algorithm: "ML-KEM-2048", type: "MLKEMEncapsTest" },
    { algorithm: "tarot", type: "TarotTest" },
  ];
  for (const { algorithm, type } of lacking) {
    const { isRight, reason } = await judge(algorithm, { type, tagSize: 128 }, { iv: hex(iv), tag: "00".repeat(16) });
    assert.equal(isRight, false);
    assert.match(reason ?? "", /^1 not tried: .*node:crypto/);
  }
});

test("RFC 5480 §2.1.1: a peer's key whose curve is written out is refused", async () => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256", paramEncoding: "explicit" });
  const own = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const made = { public: spkiHex(publicKey), private: scalarOf(own.privateKey), shared: "" };
  assert.equal(privateKey.asymmetricKeyDetails?.namedCurve, "prime256v1");
  assert.match((await judge("ECDH", { type: "EcdhTest", curve: "secp256r1" }, made)).reason ?? "", /^1 refused/);
});

const scalarOf = (privateKey: KeyObject): string => hex(Buffer.from(String(privateKey.export({ format: "jwk" }).d), "base64url"));

function judgeSealed(algorithm: string, cipher: string, tagBytes: number): Promise<CaseVerdict> {
  const sealing = createCipheriv(cipher as "aes-128-ccm", key, iv, { authTagLength: tagBytes });
  sealing.setAAD(Buffer.from("aad"), { plaintextLength: message.length });
  const ct = hex(Buffer.concat([sealing.update(message), sealing.final()]));
  const tag = hex(sealing.getAuthTag());
  const made = { key: hex(key), iv: hex(iv), aad: hex(Buffer.from("aad")), msg: hex(message), ct, tag };
  return judge(
    algorithm,
    { type: "AeadTest", tagSize: tagBytes * 8 },
    made,
    { tag: flipped(tag) },
    { aad: "" },
    { ct: flipped(ct) },
    { tag: tag.slice(0, -2) },
  );
}

function judgeCbcHmac(): Promise<CaseVerdict> {
  const both = Buffer.alloc(32, 3);
  const block = Buffer.alloc(16, 5);
  const sealing = createCipheriv("aes-128-cbc", both.subarray(16), block);
  const ct = Buffer.concat([sealing.update(message), sealing.final()]);
  const mac = createHmac("sha256", both.subarray(0, 16))
    .update(Buffer.concat([block, ct, Buffer.alloc(8)]))
    .digest();
  const tag = hex(mac.subarray(0, 16));
  const made = { key: hex(both), iv: hex(block), aad: "", msg: hex(message), ct: hex(ct), tag };
  return judge("A128CBC-HS256", { type: "AeadTest", tagSize: 128 }, made, { tag: flipped(tag) }, { aad: "00" });
}

function judgeKeyWrap(): Promise<CaseVerdict> {
  const wrapping = createCipheriv("aes-128-wrap", key, Buffer.alloc(8, 0xa6));
  const ct = hex(Buffer.concat([wrapping.update(Buffer.alloc(16, 1)), wrapping.final()]));
  const made = { key: hex(key), msg: "01".repeat(16), ct };
  return judge("AES-WRAP", { type: "KeywrapTest" }, made, { ct: flipped(ct) }, { ct: "", msg: "" });
}

type Pair = { readonly publicKey: KeyObject; readonly privateKey: KeyObject };

function judgeSigned(type: string, algorithm: string, { publicKey, privateKey }: Pair, sha: string): Promise<CaseVerdict> {
  const sig = hex(sign(sha.toLowerCase().replace(/^sha-/, "sha").replace("/", "-"), message, privateKey));
  const group = { type, sha, publicKeyDer: spkiHex(publicKey) };
  return judge(algorithm, group, { msg: hex(message), sig }, { sig: flipped(sig) }, { msg: "" }, { sig: `${sig}00` });
}

function judgeMlDsa(): Promise<CaseVerdict> {
  const pair = generateKeyPairSync("ml-dsa-65");
  const publicKey = hex(pair.publicKey.export({ format: "raw-public" }));
  const sig = hex(sign(null, message, { key: pair.privateKey, context: Buffer.from("c") }));
  const made = { msg: hex(message), ctx: hex(Buffer.from("c")), sig };
  const privateSeed = hex(pair.privateKey.export({ format: "raw-seed" }));
  const spoilt = [{ sig: flipped(sig) }, { ctx: "" }, { ctx: "00".repeat(256) }, { sig: sig.slice(0, -2) }];
  return Promise.all([
    judge("ML-DSA-65", { type: "MlDsaVerify", publicKey }, made, ...spoilt),
    judge("ML-DSA-65", { type: "MlDsaSign", publicKey, privateSeed }, made, ...spoilt),
  ]).then(([verified, signed]) => (verified.isRight ? signed : verified));
}

function judgeMlKem(): Promise<CaseVerdict> {
  const { publicKey, privateKey } = generateKeyPairSync("ml-kem-768");
  const { ciphertext, sharedKey } = encapsulate(publicKey);
  const seed = hex(privateKey.export({ format: "raw-seed" }));
  const made = { seed, ek: hex(publicKey.export({ format: "raw-public" })), c: hex(ciphertext), K: hex(sharedKey) };
  const group = { type: "MLKEMTest", parameterSet: "ML-KEM-768" };
  return judge(
    "ML-KEM",
    group,
    made,
    { c: flipped(made.c) },
    { seed: `${seed.slice(64)}${seed.slice(0, 64)}` },
    { seed: seed.slice(2) },
    { ek: flipped(made.ek) },
  );
}

function judgeEcdh(): Promise<CaseVerdict> {
  const [own, peer] = [generateKeyPairSync("ec", { namedCurve: "secp384r1" }), generateKeyPairSync("ec", { namedCurve: "secp384r1" })];
  const shared = hex(diffieHellman({ privateKey: own.privateKey, publicKey: peer.publicKey }));
  const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey;
  const made = { public: spkiHex(peer.publicKey), private: scalarOf(own.privateKey), shared };
  return judge("ECDH", { type: "EcdhTest", curve: "secp384r1" }, made, { public: spkiHex(stranger) }, { shared: flipped(shared) });
}

function judgeOaep(): Promise<CaseVerdict> {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const label = Buffer.from("l");
  const ct = hex(publicEncrypt({ key: publicKey, oaepHash: "sha384", oaepLabel: label }, message));
  const privateKeyPkcs8 = hex(privateKey.export({ format: "der", type: "pkcs8" }));
  const group = { type: "RsaesOaepDecrypt", sha: "SHA-384", mgfSha: "SHA-384", privateKeyPkcs8 };
  return judge("RSAES-OAEP", group, { ct, label: hex(label), msg: hex(message) }, { label: "" }, { ct: flipped(ct) });
}

function judgePbes2(): Promise<CaseVerdict> {
  const derived = pbkdf2Sync("secret", "salt", 10, 16, "sha256");
  const block = Buffer.alloc(16, 5);
  const sealing = createCipheriv("aes-128-cbc", derived, block);
  const ct = hex(Buffer.concat([sealing.update(message), sealing.final()]));
  const parameters = { password: hex(Buffer.from("secret")), salt: hex(Buffer.from("salt")), iterationCount: 10, iv: hex(block) };
  const made = { ...parameters, msg: hex(message), ct };
  return judge("PbeWithHmacSha256AndAes_128", { type: "PbeTest" }, made, { iterationCount: 11 }, { msg: "" });
}

/** NIST SP 800-185, KMAC sample 1. */
function judgeKmac(): Promise<CaseVerdict> {
  const secret = "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f";
  const tag = "e5780b0d3ea6f7d3a429c5706aa43a00fadbd7d49628839e3187243f456ee14e";
  const made = { key: secret, msg: "00010203", tag };
  return judge("KMAC128", { type: "MacTest", tagSize: 256 }, made, { tag: flipped(tag) }, { msg: "" });
}
