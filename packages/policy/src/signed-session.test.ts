import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import {
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
