import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { A, accepted, clean, diagnosticsOf, KEY } from "../../test/documents.ts";
import { encodeBase58Check } from "../base58check.ts";
import { keyHashOf } from "../key-hash.ts";
import { encodePem } from "../pem.ts";
import { readCertificate, readEntryText, readSigningKey } from "./access.ts";

const OTHER = "3RRDm6BpFxXD2yJNYTUJhdLuAN49ae9ivsWhmtqmMvicDszge9";
const ed25519 = generateKeyPairSync("ed25519").publicKey;
const p384 = generateKeyPairSync("ec", { namedCurve: "secp384r1" }).publicKey;
const pemOf = (key: typeof ed25519) => key.export({ type: "spki", format: "pem" }).toString();
const raw = ed25519.export({ type: "spki", format: "der" }).subarray(-32);
const certificate = execFileSync(
  "openssl",
  "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj /CN=x -days 1".split(" "),
  { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
);
const certified = keyHashOf(new X509Certificate(certificate).publicKey);

test("SL-176 a signing key is Ed25519 or P-384 in PEM, or Ed25519 in the older form", () => {
  for (const key of [ed25519, p384])
    assert.deepEqual(readSigningKey(pemOf(key)), { publicKey: pemOf(key), keyHash: keyHashOf(key), old: false });
  assert.deepEqual(readSigningKey(` ${encodeBase58Check(0x0a, raw)}\n`), {
    ...{ publicKey: pemOf(ed25519), keyHash: keyHashOf(ed25519), old: true },
  });
});

const noKeys: readonly (readonly [what: string, text: string, problem: string])[] = [
  ["the older form of another version", encodeBase58Check(0x0b, raw), "not a PEM public key"],
  ["the older form of another length", encodeBase58Check(0x0a, raw.subarray(1)), "not a PEM public key"],
  ["two keys", pemOf(ed25519) + pemOf(p384), "not a PEM public key"],
  ["nothing", "", "not a PEM public key"],
  ["a block of another kind", encodePem("PRIVATE KEY", raw), "a PEM private key"],
  ["a block that holds no key", encodePem("PUBLIC KEY", raw), "not a valid public key"],
  ["a key on another curve", pemOf(generateKeyPairSync("ec", { namedCurve: "prime256v1" }).publicKey), "a public key of type prime256v1"],
  ["a key of another kind", pemOf(generateKeyPairSync("x25519").publicKey), "a public key of type x25519"],
];
for (const [what, text, problem] of noKeys) {
  test(`SL-176 ${what} is no signing key`, () => assert.deepEqual(readSigningKey(text), { problem }));
}

test("SL-171 a certificate is exactly one block of that kind, and counts by its key", () => {
  assert.deepEqual(readCertificate(certificate), { pem: certificate, keyHash: certified });
  for (const text of [
    certificate + certificate,
    "",
    "x",
    pemOf(ed25519),
    encodePem("CERTIFICATE", raw),
    certificate.replaceAll("CERT", "TRUSTED CERT"),
  ])
    assert.equal(readCertificate(text), undefined, text.slice(0, 30));
});

test("SL-171 to SL-174 an entry that is a text says who is meant, or what it is instead and how that is written", () => {
  assert.deepEqual(readEntryText("CREATOR"), { kind: "creator" });
  assert.deepEqual(readEntryText(KEY), { kind: "key", keyHash: KEY });
  assert.deepEqual(readEntryText(certificate), { kind: "certificate", pem: certificate, keyHash: certified });
  const instead = (text: string) => {
    const entry = readEntryText(text);
    return "problem" in entry ? [entry.rule, entry.problem, entry.hint] : assert.fail(entry.kind);
  };
  const asSigner = "a signing key is written `signer: <PEM>`";
  assert.deepEqual(instead(pemOf(ed25519)), ["SL-171", "a PEM public key", asSigner]);
  assert.deepEqual(instead(encodePem("EC PRIVATE KEY", raw)), ["SL-171", "a PEM ec private key", undefined]);
  assert.deepEqual(instead(encodePem("CERTIFICATE", raw)), ["SL-171", "not a valid PEM certificate", undefined]);
  assert.deepEqual(instead("-----BEGIN"), ["SL-171", "a PEM block", undefined]);
  assert.deepEqual(instead(A), ["SL-174", "a certificate hash", undefined]);
  const mistyped = "key hash with a wrong checksum; is a character mistyped?";
  assert.deepEqual(instead(KEY.replace("q", "r")), ["SL-173", mistyped, undefined]);
  for (const text of ["z".repeat(45), "z".repeat(55)]) assert.equal(instead(text)[0], "SL-171", text);
  assert.deepEqual(instead(encodeBase58Check(0x0a, raw)), [
    "SL-173",
    "Base58Check of version 10",
    "a signing key is written `signer: <key>`",
  ]);
  assert.deepEqual(instead(encodeBase58Check(0x0b, raw)), ["SL-173", "Base58Check of version 11", undefined]);
  assert.deepEqual(instead("creater").slice(0, 2), ["SL-171", "`creater`"]);
});

/** The one error of a document, as a reader sees it. */
const errorOf = (body: string) => {
  const [first, ...more] = diagnosticsOf(body).filter(({ severity }) => severity === "error");
  assert(first !== undefined && more.length === 0, JSON.stringify([first, ...more]));
  return [first.rule, first.path, first.message];
};
const signer = (key: typeof ed25519) => `{signer: ${JSON.stringify(pemOf(key))}}`;
const SECRET = "secrets: [{name: k, import: {session: o}}]";
const errors: readonly (readonly [body: string, rule: string, path: string, message: string])[] = [
  ["access_policy: {update: [{}]}", "SL-178", "access_policy.update[0]", "a mapping with 0 keys"],
  [`access_policy: {update: [{require-all: [${KEY}], signer: x}]}`, "SL-178", "access_policy.update[0]", "a mapping with 2 keys"],
  ["access_policy: {update: [{some: [CREATOR]}]}", "SL-12", "access_policy.update[0].some", "unknown key `some`"],
  [`access_policy: {read: ${signer(ed25519)}}`, "SL-177", "access_policy.read.signer", "`signer` in `read`"],
  [
    `access_policy: {list_sessions: [CREATOR, ${signer(ed25519)}]}`,
    "SL-177",
    "access_policy.list_sessions[1].signer",
    "`signer` in `list_sessions`",
  ],
  [
    "access_policy: {update: [{require-at-least-3: [CREATOR, ANY]}]}",
    "SL-172",
    "access_policy.update[0].require-at-least-3[1]",
    "`ANY` next to other entries",
  ],
  [
    `access_policy: {update: [{require-at-least-3: [CREATOR, ${KEY}]}]}`,
    "SL-178",
    "access_policy.update[0].require-at-least-3",
    "3 of 2 entries",
  ],
  [
    `access_policy: {update: [{require-at-least-2: [CREATOR, ${KEY}, CREATOR]}]}`,
    "SL-179",
    "access_policy.update[0].require-at-least-2[2]",
    "the same key twice in `require-at-least-2`",
  ],
  [
    `access_policy: {update: [{require-at-least-2: [${KEY}, ${KEY}]}]}`,
    "SL-179",
    "access_policy.update[0].require-at-least-2[1]",
    "the same key twice in `require-at-least-2`",
  ],
  [`access_policy: {update: [CREATOR, NONE]}`, "SL-172", "access_policy.update[1]", "`NONE` next to other entries"],
  ["access_policy: {update: [{require-all: 5}]}", "SL-178", "access_policy.update[0].require-all", "`5`"],
  ["access_policy: {update: [{signer: [x]}]}", "SL-176", "access_policy.update[0].signer", "a list"],
  ["access_policy: {update: [[CREATOR]]}", "SL-171", "access_policy.update[0]", "a list"],
  [`access_policy: {update: "$$SCONE::k"}\n${SECRET}`, "SL-115", "access_policy.update", "placeholder is not closed"],
  ["creator: [x]", "SL-186", "creator", "a list"],
  ["creator: somebody", "SL-186", "creator", "`somebody`"],
  ["creator: {require-all: [CREATOR]}", "SL-186", "creator", "an access rule"],
  ["creator: {signer: x}", "SL-176", "creator.signer", "not a PEM public key"],
];
for (const [body, rule, path, message] of errors) {
  test(`${rule} ${message} is told at ${path}`, () => assert.deepEqual(errorOf(body), [rule, path, message]));
}

test("SL-179 one key may sign and connect, and two entries without a key are not the same", () => {
  clean(`access_policy: {read: ${KEY}, update: [{require-at-least-2: [CREATOR, ${KEY}, ${OTHER}, ${signer(ed25519)}]}]}`);
  const nested = `{require-all: [${KEY}]}`;
  clean(`access_policy: {read: ${KEY}, update: [{require-at-least-1: [${nested}, ${nested}]}]}`);
  const { accessPolicy } = accepted(`access_policy: {update: [{require-at-least-2: [${certified}, ${signer(p384)}]}]}`);
  assert("update" in accessPolicy);
  assert.deepEqual(accessPolicy.update?.[0], {
    ...{ kind: "at-least", count: 2 },
    entries: [
      { kind: "key", keyHash: certified },
      { kind: "signer", keyHash: keyHashOf(p384), publicKey: pemOf(p384) },
    ],
  });
});

test("SL-176 the older form of a signing key is taken with a warning, PEM without", () => {
  const old = `access_policy: {read: ${KEY}, update: {signer: ${encodeBase58Check(0x0a, raw)}}}`;
  assert.deepEqual(
    diagnosticsOf(old).map(({ severity, rule, message }) => [severity, rule, message]),
    [["warning", "SL-176", "the older form of a signing key"]],
  );
  const { accessPolicy } = accepted(old);
  assert.deepEqual("update" in accessPolicy && accessPolicy.update, [
    { kind: "signer", keyHash: keyHashOf(ed25519), publicKey: pemOf(ed25519) },
  ]);
});

test("SL-182 a placeholder is an entry by itself, with nothing around it", () => {
  const { accessPolicy } = accepted(`access_policy: {update: "$$SCONE::k$$"}\n${SECRET}`);
  assert.deepEqual("update" in accessPolicy && accessPolicy.update, [{ kind: "placeholder", secret: "k", text: "$$SCONE::k$$" }]);
  assert.equal(errorOf(`access_policy: {update: "$$SCONE::k$$ and"}\n${SECRET}`)[0], "SL-171");
  assert.equal(errorOf(`access_policy: {update: "$$SCONE::k$$$$SCONE::k$$"}\n${SECRET}`)[0], "SL-171");
});

test("SL-186 a creator is a certificate, its key hash, or a signer", () => {
  const creatorOf = (text: string) => clean(`creator: ${text}\naccess_policy: {read: ${KEY}, update: ${KEY}}`).creator;
  assert.deepEqual(creatorOf(JSON.stringify(certificate)), { kind: "certificate", pem: certificate, keyHash: certified });
  assert.deepEqual(creatorOf(KEY), { kind: "certificate", keyHash: KEY, pem: undefined });
  assert.deepEqual(creatorOf(signer(ed25519)), { kind: "signer", keyHash: keyHashOf(ed25519), publicKey: pemOf(ed25519) });
});
