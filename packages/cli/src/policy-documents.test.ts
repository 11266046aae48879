import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import type { PlannedPolicy } from "@vouchsafe/mesh";
import { decryptSession, parseSignedSession, sessionEncryptionKeyText, verifySignedSession } from "@vouchsafe/policy";
import { hashOfPolicy, makePolicyDocument } from "./policy-documents.ts";

const { privateKey, publicKey } = generateKeyPairSync("ed25519");
const cas = generateKeyPairSync("x25519");
const signer = String(publicKey.export({ type: "spki", format: "pem" }));
const encryptionKey = sessionEncryptionKeyText(cas.publicKey);
const policy = (greeting: string): PlannedPolicy => ({
  name: "team-1",
  service: undefined,
  resource: "team-1",
  body: {
    name: "team-1",
    version: "0.3.12",
    salt: "0".repeat(32),
    creator: { signer },
    access_policy: { read: ["3RRDm6BpFxXD2yJNYTUJhdLuAN49ae9ivsWhmtqmMvicDszge9"], update: [{ signer }] },
    secrets: [{ name: "greeting", kind: "ascii", value: greeting }],
  },
});
const nothing = { signed: undefined, encrypted: undefined };
const make = (
  greeting: string,
  earlier: { signed: string | undefined; encrypted: string | undefined } = nothing,
  active: Parameters<typeof makePolicyDocument>[2] = { kind: "unknown" },
) => makePolicyDocument(policy(greeting), earlier, active, privateKey, encryptionKey);

test("MF-100: without CAS and files a policy is created: no predecessor", () => {
  const first = make("hello");
  assert.equal(first.predecessor, null);
  assert.equal(first.hash, hashOfPolicy("team-1", policy("hello").body, null).hash);
});

test("MF-100: an unchanged policy is the same document, ciphertext included", () => {
  const first = make("hello");
  const again = make("hello", first);
  assert.deepEqual([again.signed, again.encrypted, again.isUnchanged], [first.signed, first.encrypted, true]);
});

test("MF-100: a changed policy names the hash of the file's version, where the CAS cannot be asked", () => {
  const first = make("hello");
  assert.equal(make("good day", first).predecessor, first.hash);
});

test("AC-6: applied twice without installing, a changed policy is still created: the CAS has nothing yet", () => {
  const second = make("good day", make("hello"), { kind: "absent" });
  assert.equal(second.predecessor, null);
});

test("AC-7: with target lost, the predecessor is what the CAS has", () => {
  const hash = make("hello").hash;
  assert.equal(make("good day", nothing, { kind: "active", hash }).predecessor, hash);
});

test("MF-100: what the CAS already has is no new version, also with target lost", () => {
  const first = make("hello");
  const again = make("hello", nothing, { kind: "active", hash: first.hash });
  assert.deepEqual([again.hash, again.predecessor], [first.hash, null]);
});

test("MF-100: a version that was made but never installed is left behind", () => {
  const installed = make("hello");
  const skipped = make("good day", installed);
  const next = make("good evening", skipped, { kind: "active", hash: installed.hash });
  assert.equal(next.predecessor, installed.hash);
});

test("MF-102: the signed document verifies, and the encrypted one is exactly it", () => {
  const { signed, encrypted } = make("hello");
  assert.equal(verifySignedSession(signed).policy, parseSignedSession(signed).policy);
  assert(encrypted !== undefined);
  assert.equal(decryptSession(encrypted, [cas.privateKey]), signed);
  assert.doesNotMatch(encrypted, /hello/);
});

test("MF-102: another CAS gets another ciphertext of the same signed document", () => {
  const first = make("hello");
  const other = makePolicyDocument(
    policy("hello"),
    first,
    { kind: "unknown" },
    privateKey,
    sessionEncryptionKeyText(generateKeyPairSync("x25519").publicKey),
  );
  assert.equal(other.signed, first.signed);
  assert.notEqual(other.encrypted, first.encrypted);
});

test("MF-99: a template that makes no valid policy is refused with place and expectation", () => {
  const { body, ...rest } = policy("hello");
  const wrong = { ...rest, body: { ...body, secrets: [{ name: "greeting", kind: "asci", value: "x" }] } };
  assert.throws(() => makePolicyDocument(wrong, nothing, { kind: "unknown" }, privateKey, undefined), {
    code: "E-POLICY-TEMPLATE",
    message: /secrets\[0\]\.kind/,
  });
});
