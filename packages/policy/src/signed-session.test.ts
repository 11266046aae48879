import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import {
  addRawSignature,
  addSessionSignature,
  decryptSession,
  encodeSignedSession,
  encryptSession,
  isEncryptedSession,
  isSignedSession,
  sessionEncryptionKeyText,
  signSession,
  verifySignedSession,
} from "./index.ts";

const POLICY = 'version: "0.3.12"\nname: t\n';
const ed25519 = generateKeyPairSync("ed25519").privateKey;
const p384 = generateKeyPairSync("ec", { namedCurve: "secp384r1" }).privateKey;
const signed = () => addSessionSignature(signSession(POLICY, ed25519), p384);

test("SL-188, SL-189 a session signed with Ed25519 and P-384 is verified and its text is unchanged", () => {
  const text = encodeSignedSession(signed());
  assert(isSignedSession(text) && !isEncryptedSession(text));
  const verified = verifySignedSession(text);
  assert.equal(verified.policy, POLICY);
  assert.equal(verified.signatures.length, 2);
});

test("SL-190 one bad signature makes the document invalid, and a second one by one key is refused", () => {
  const text = encodeSignedSession(signed());
  const { policy, signatures } = JSON.parse(text);
  const forged = JSON.stringify({ policy: `${policy} `, signatures });
  assert.throws(() => verifySignedSession(forged), { code: "SIGNATURE_INVALID" });
  assert.throws(() => verifySignedSession(JSON.stringify({ policy, signatures: [signatures[0], signatures[0]] })), {
    code: "SIGNED_SESSION_MALFORMED",
  });
  assert.throws(() => addSessionSignature(signed(), ed25519), { code: "SIGNER_TWICE" });
});

const malformedSigned = [
  "",
  "{}",
  "[]",
  "null",
  '{"policy":"a"}',
  '{"policy":"a","signatures":[]}',
  '{"policy":1,"signatures":[{}]}',
  '{"policy":"a","policy":"b","signatures":[{"signer":"x","signature":"y"}]}',
  '{"policy":"a","signatures":[{"signer":"x","signature":"y"}],"x":1}',
];
for (const text of malformedSigned) {
  test(`SL-188 a signed session is exactly policy and signatures: ${text.slice(0, 60)}`, () => {
    assert.throws(() => verifySignedSession(text), { name: "PolicyError", code: "SIGNED_SESSION_MALFORMED" });
  });
}

const entries = (JSON.parse(encodeSignedSession(signed())) as { signatures: readonly [{ signer: string; signature: string }] }).signatures;
const [entry] = entries;
const wrongForms: readonly (readonly [rule: string, document: object, message: RegExp])[] = [
  ["a policy that is no text", { policy: 1, signatures: entries }, /`policy` is no text/],
  ["signatures that are no list", { policy: POLICY, signatures: "xy" }, /`signatures` is no list with at least one signature/],
  ["no signature", { policy: POLICY, signatures: [] }, /`signatures` is no list with at least one signature/],
  ["too many signatures", { policy: POLICY, signatures: Array(65).fill(entry) }, /65 signatures, at most 64 allowed/],
  ["a signature that is nothing", { policy: POLICY, signatures: [null] }, /other keys than `signer`, `signature`/],
  ["a signature that is a text", { policy: POLICY, signatures: ["xy"] }, /other keys than `signer`, `signature`/],
  ["a signature with more", { policy: POLICY, signatures: [{ ...entry, x: 1 }] }, /other keys than `signer`, `signature`/],
  ["a signer that is a number", { policy: POLICY, signatures: [{ ...entry, signer: 1 }] }, /a signature is no text/],
  ["a signature that is a number", { policy: POLICY, signatures: [{ ...entry, signature: 1 }] }, /a signature is no text/],
  ["a signature that is too long", { policy: POLICY, signatures: [{ ...entry, signature: "A".repeat(516) }] }, /a signature is no text/],
  ["a signature that is no base64", { policy: POLICY, signatures: [{ ...entry, signature: "?" }] }, /a signature is no base64/],
  ["a signer that is no key", { policy: POLICY, signatures: [{ ...entry, signer: "x" }] }, /signer: not a PEM public key/],
];
for (const [rule, document, message] of wrongForms) {
  test(`SL-188 ${rule} makes a document that is no signed session`, () => {
    assert.throws(() => verifySignedSession(JSON.stringify(document)), { code: "SIGNED_SESSION_MALFORMED", message });
  });
}

test("SL-188 a policy that speaks of signatures is no signed session, nor is JSON with other keys first", () => {
  assert(isSignedSession(' { "signatures" : [], "policy": "" }'));
  for (const text of ['name: t # "signatures"', '{"name": "t", "signatures": []}', '{"policy": ""}']) assert(!isSignedSession(text), text);
});

test("SL-190 a signature that another tool made is verified before it is added", () => {
  const [first, second] = signed().signatures;
  assert(first !== undefined && second !== undefined);
  const unsigned = { policy: POLICY, signatures: [] };
  assert.equal(addRawSignature(unsigned, first.signer.publicKey, first.signature).signatures.length, 1);
  assert.throws(() => addRawSignature(unsigned, second.signer.publicKey, first.signature), { code: "SIGNATURE_INVALID", rule: "SL-190" });
});

test("SL-176 a signing key of another type signs nothing", () => {
  const p256 = generateKeyPairSync("ec", { namedCurve: "prime256v1" }).privateKey;
  assert.throws(() => signSession(POLICY, p256), { code: "SIGNATURE_INVALID", rule: "SL-176" });
});

test("SL-194, SL-195 an encrypted session is opened by the CAS it was made for, also with an earlier key, and by no other", () => {
  const [present, earlier, other] = [0, 1, 2].map(() => generateKeyPairSync("x25519").privateKey);
  assert(present && earlier && other);
  const document = encodeSignedSession(signed());
  const seed = crypto.getRandomValues(new Uint8Array(32));
  const encrypted = encryptSession(document, sessionEncryptionKeyText(earlier), seed);
  assert(isEncryptedSession(encrypted) && !isSignedSession(encrypted));
  assert(!encrypted.includes("name: t"));
  assert.equal(decryptSession(encrypted, [present, earlier]), document);
  assert.throws(() => decryptSession(encrypted, [other]), {
    code: "ENCRYPTED_FOR_ANOTHER_CAS",
    message: new RegExp(sessionEncryptionKeyText(earlier)),
  });
  const { policy, encryptionKey } = JSON.parse(encrypted);
  const changed = JSON.stringify({ policy: policy.replace(/^./, (c: string) => (c === "A" ? "B" : "A")), encryptionKey });
  assert.throws(() => decryptSession(changed, [earlier]), { code: "DECRYPTION_FAILED" });
  assert.throws(() => decryptSession(JSON.stringify({ policy: "?", encryptionKey }), [earlier]), { code: "ENCRYPTED_SESSION_MALFORMED" });
  assert.throws(() => encryptSession(document, "zz", seed), { code: "ENCRYPTION_KEY_MALFORMED" });
});
