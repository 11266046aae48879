import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import {
  addRawSignature,
  calculateSessionHash,
  checkSessionFile,
  diffSessionFiles,
  encodeSignedSession,
  encryptSessionFile,
  keyHashOf,
  keyHashOfPem,
  readSessionFile,
  renderSessionDifference,
  sessionEncryptionKeyText,
  sessionSigningMessage,
  signSession,
  signSessionFile,
  verifySignedSession,
} from "./index.ts";

const KEY = "4FS3NJQsttEYid9NB6uMHZ73VuAYLGcoKjNU5Uekrosf2gbP8q";
const POLICY = `version: "0.3.12"
name: shop
access_policy: {read: [${KEY}], update: [${KEY}]}
secrets:
  - {name: pin, kind: ascii, value: canary-4711, export: [{session: shop/web}]}
`;
const signer = generateKeyPairSync("ed25519").privateKey;

test("SL-8 check exits 0, 1 on an error, 3 on a warning that must not be", () => {
  assert.equal(checkSessionFile(POLICY).exitCode, 0);
  assert.match(checkSessionFile(POLICY).output, /^version: /);
  const bad = checkSessionFile("name: t\n");
  assert.deepEqual([bad.exitCode, bad.output], [1, ""]);
  const warned = POLICY.replace(`update: [${KEY}]`, "update: NONE");
  assert.equal(checkSessionFile(warned).exitCode, 0);
  assert.equal(checkSessionFile(warned, { failOnWarning: true }).exitCode, 3);
});

test("SL-53 a hash that depends on the creator asks who that is; a renewed certificate or another spelling changes nothing", () => {
  const open = 'version: "0.3.12"\nname: t\n';
  assert.throws(() => calculateSessionHash(open), { code: "CREATOR_NEEDED", rule: "SL-53" });
  const creator = { kind: "certificate", keyHash: KEY, pem: undefined } as const;
  const { output } = calculateSessionHash(open, { creator });
  assert.match(output, /^[0-9a-f]{64}\n$/);
  assert.equal(calculateSessionHash(`${open}creator: ${KEY}\n`).output, output);
  assert.equal(calculateSessionHash(POLICY, { creator }).output, calculateSessionHash(POLICY).output);
});

test("SL-185, SL-191 sign checks first, keeps the text, and a further signature leaves it alone", () => {
  const first = signSessionFile(POLICY, signer, { variables: new Map() });
  assert.equal(verifySignedSession(first.output).policy, POLICY);
  const second = signSessionFile(first.output, generateKeyPairSync("ec", { namedCurve: "secp384r1" }).privateKey);
  assert.equal(verifySignedSession(second.output).signatures.length, 2);
  assert.equal(signSessionFile("name: t\n", signer).exitCode, 1);
  assert.equal(calculateSessionHash(first.output).output, calculateSessionHash(POLICY).output);
});

test("SL-28 variables are replaced before signing and never after, and a signed session keeps its name", () => {
  const template = POLICY.replace("shop\n", "$APP\n");
  const signed = signSessionFile(template, signer, { variables: new Map([["APP", "shop"]]) });
  assert.equal(calculateSessionHash(signed.output).output, calculateSessionHash(POLICY).output);
  assert.throws(() => readSessionFile(signed.output, { name: "other" }), { rule: "SL-28" });
});

test("SL-189 OpenSSL signs the message with a P-384 key and the signature is accepted", (t) => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "secp384r1" });
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-sign-"));
  t.after(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, "key.pem"), privateKey.export({ type: "pkcs8", format: "pem" }));
  writeFileSync(join(directory, "message"), sessionSigningMessage(POLICY));
  const signature = execFileSync("openssl", ["dgst", "-sha384", "-sign", "key.pem", "message"], { cwd: directory });
  const signed = addRawSignature(signSession(POLICY, signer), publicKey.export({ type: "spki", format: "pem" }).toString(), signature);
  assert.equal(verifySignedSession(encodeSignedSession(signed)).signatures.length, 2);
});

test("SL-194 encrypt signs first; the CAS reads what was signed", () => {
  const cas = generateKeyPairSync("x25519").privateKey;
  const { output, exitCode } = encryptSessionFile(POLICY, {
    casEncryptionKey: sessionEncryptionKeyText(cas),
    ephemeralSeed: crypto.getRandomValues(new Uint8Array(32)),
    signingKey: signer,
  });
  assert.equal(exitCode, 0);
  assert(!output.includes("canary") && !output.includes("shop"));
  const file = readSessionFile(output, { privateKeys: [cas] });
  assert.equal(file.session?.name, "shop");
  assert.equal(file.signers.length, 1);
});

test("a difference says what is allowed now and what no longer, and never a secret", () => {
  const after = POLICY.replace(`update: [${KEY}]`, "update: [ANY]").replace("shop/web", "shop/api").replace("canary-4711", "canary-0815");
  const { difference } = diffSessionFiles({ text: POLICY }, { text: after });
  assert(difference !== undefined);
  const text = renderSessionDifference(difference);
  assert.match(text, /allows:[\s\S]*everybody may update the session[\s\S]*secret pin goes to session shop\/api/);
  assert.match(text, /takes away:[\s\S]*secret pin goes to session shop\/web/);
  assert.doesNotMatch(text + JSON.stringify(difference), /canary/);
});

const changes = (before: string, after: string) => {
  const head = 'version: "0.3.12"\nname: s\n';
  const { difference, diagnostics } = diffSessionFiles({ text: head + before }, { text: head + after });
  assert(difference !== undefined, JSON.stringify(diagnostics));
  return difference.changes;
};
const service = (more: string) => `services: [{name: api, command: x, pwd: /, attestation: {mrenclave: ${"ab".repeat(32)}}${more}}]\n`;
const pki = (more: string) => `secrets:\n  - {name: k, kind: private-key${more}}\n  - {name: ca, kind: x509-ca, private_key: k}\n`;
const changeCases = [
  {
    what: "another command",
    before: service(""),
    after: service("").replace("command: x", 'command: [y, "a b"]'),
    says: ['service api is started as: y "a b"'],
  },
  {
    what: "variables",
    before: service(", environment: {A: canary-1, B: b}"),
    after: service(", environment: {A: canary-2, C: c}"),
    says: ["service api: variable A has another value", "service api: variable C is new", "service api: variable B is gone"],
  },
  {
    what: "another size",
    before: "secrets: [{name: a, kind: ascii}]\n",
    after: "secrets: [{name: a, kind: ascii, size: 30}]\n",
    says: ["secret a gets a new value"],
  },
  {
    what: "the same secret",
    before: "secrets: [{name: a, kind: ascii}]\n",
    after: "secrets: [{name: a, kind: ascii, size: 20}]\n",
    says: [],
  },
  {
    what: "an explicit value",
    before: "secrets: [{name: a, kind: ascii, value: canary-1}]\n",
    after: "secrets: [{name: a, kind: ascii, value: canary-2}]\n",
    says: ["secret a has another value"],
  },
  {
    what: "another origin",
    before: "secrets: [{name: a, kind: ascii, value: canary-1}]\n",
    after: "secrets: [{name: a, kind: ascii}]\n",
    says: ["secret a becomes ascii, made by the CAS"],
  },
  {
    what: "a CA whose key does not migrate (SL-135)",
    before: pki(""),
    after: pki(""),
    says: ["secret k gets a new value", "CA ca gets a new key: whoever trusts its present certificate no longer trusts what it issues"],
  },
  { what: "a CA whose key migrates", before: pki(", migrate: true"), after: pki(", migrate: true"), says: [] },
  {
    what: "another name in a certificate",
    before: pki(", migrate: true"),
    after: pki(", migrate: true").replace("private_key: k}", "private_key: k, common_name: R}"),
    says: ["certificate ca has other contents"],
  },
  {
    what: "files of an image",
    before: "images: [{name: i, injection_files: [{path: /a, content: canary-1}]}]\n",
    after: "images: [{name: i, injection_files: [{path: /a, content: canary-2}, {path: /b, content: x}]}]\n",
    says: ["image i: file /a changes", "image i: file /b is new"],
  },
  {
    what: "a volume with explicit key",
    before: "volumes: [{name: v}]\n",
    after: "volumes: [{name: v, files: authenticated-only}]\n",
    says: ["volume v starts empty, or with another key"],
  },
  {
    what: "what comes and goes",
    before: "volumes: [{name: v}]\n",
    after: "secrets: [{name: a, kind: ascii}]\n",
    says: ["secret a is new", "volume v is gone"],
  },
];
for (const { what, before, after, says } of changeCases) {
  test(`a difference tells of ${what}, and shows no value`, () => {
    assert.deepEqual(changes(before, after), says);
    assert.doesNotMatch(changes(before, after).join(), /canary/);
  });
}

test("cert show-key-hash gives one hash for a key and its public half", () => {
  const pem = signer.export({ type: "pkcs8", format: "pem" }).toString();
  assert.equal(keyHashOfPem(pem), keyHashOf(signer));
  assert.throws(() => keyHashOfPem("nothing"), { code: "KEY_MALFORMED" });
});
