import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import {
  AttestationResultError,
  type AttestationResultToken,
  signAttestationResult,
  verifyAttestationResult,
} from "./attestation-result-token.ts";

const key = generateKeyPairSync("ec", { namedCurve: "P-256" });
const now = new Date("2026-11-25T12:00:00Z");
const trust = { publicKey: key.publicKey, algorithm: "ES256", audience: "relying.example", now } as const;
const result: AttestationResultToken = {
  verifier: { developer: "https://vouchsafe.example", build: "vouchsafe 0.1.0" },
  audience: "relying.example",
  subject: "patients-7/api",
  issuedAt: new Date(now.getTime() - 1000),
  expiresAt: new Date(now.getTime() + 300_000),
  submodules: new Map([
    [
      "snp",
      {
        status: "affirming",
        trustworthiness: { hardware: 2, executables: 2, "instance-identity": 2 },
        appraisalPolicyId: "sha256:00",
        evidence: { kind: "snp", codeIdentity: "ab".repeat(32), debug: false, advisories: [] },
      },
    ],
  ]),
};
const signed = await signAttestationResult(result, key.privateKey, "ES256");
const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
const payloadOf = (token: string): Record<string, unknown> => JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
const forge = (header: object, by: (input: string) => Uint8Array): string => {
  const input = `${part(header)}.${part(payloadOf(signed))}`;
  return `${input}.${Buffer.from(by(input)).toString("base64url")}`;
};
const es256 = (signer: KeyObject) => (input: string) => sign("sha256", Buffer.from(input), { key: signer, dsaEncoding: "ieee-p1363" });

test("a signed result gives back what was appraised, as EAR claims", async () => {
  assert.deepEqual(await verifyAttestationResult(signed, trust), result);
  assert.equal(payloadOf(signed)["eat_profile"], "tag:github.com,2023:veraison/ear");
});

test("hazard B10: a signed result has one spelling", async () => {
  const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const last = digits.indexOf(signed.at(-1) ?? "");
  // 64 bytes are 86 characters, the last of which carries four bits of no byte.
  for (const bits of [1, 2, 4, 8, 15]) {
    const other = `${signed.slice(0, -1)}${digits[last ^ bits]}`;
    await assert.rejects(verifyAttestationResult(other, trust), { code: "RESULT_MALFORMED", message: /one spelling/ });
  }
  for (const other of [`${signed}==`, ` ${signed}`, `${signed}\n`, signed.replaceAll(".", " .")]) {
    await assert.rejects(verifyAttestationResult(other, trust), { code: "RESULT_MALFORMED", message: /one spelling/ });
  }
});

const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" });
const spki = key.publicKey.export({ type: "spki", format: "pem" });
const attacks: { rule: string; token: string; with?: object; code: string }[] = [
  { rule: "for another audience", token: signed, with: { audience: "other.example" }, code: "RESULT_AUDIENCE" },
  { rule: "after expiry", token: signed, with: { now: new Date(now.getTime() + 301_000) }, code: "RESULT_STALE" },
  { rule: "with alg none", token: forge({ alg: "none", typ: "ear+jwt" }, () => new Uint8Array(0)), code: "RESULT_SIGNATURE" },
  {
    rule: "with HS256 under the public key's bytes",
    token: forge({ alg: "HS256", typ: "ear+jwt" }, (input) => createHmac("sha256", spki).update(input).digest()),
    code: "RESULT_SIGNATURE",
  },
  {
    rule: "with the signer's key in the header",
    token: forge({ alg: "ES256", typ: "ear+jwt", jwk: stranger.publicKey.export({ format: "jwk" }) }, es256(stranger.privateKey)),
    code: "RESULT_SIGNATURE",
  },
  {
    rule: "with a key id that is a path and a key URL",
    token: forge({ alg: "ES256", typ: "ear+jwt", kid: "../../dev/null", jku: "http://127.0.0.1/" }, es256(stranger.privateKey)),
    code: "RESULT_SIGNATURE",
  },
  { rule: "of another token type", token: forge({ alg: "ES256", typ: "JWT" }, es256(key.privateKey)), code: "RESULT_MALFORMED" },
  {
    rule: "whose claims are a list",
    token: ((input) => `${input}.${Buffer.from(es256(key.privateKey)(input)).toString("base64url")}`)(
      `${part({ alg: "ES256", typ: "ear+jwt" })}.${part([1])}`,
    ),
    code: "RESULT_MALFORMED",
  },
  { rule: "that is no JWT", token: "a.b", code: "RESULT_MALFORMED" },
  { rule: "whose header is no JSON", token: `YQ.${part({})}.AA`, code: "RESULT_MALFORMED" },
];
for (const { rule, token, with: changes, code } of attacks) {
  test(`hazard B10: a result ${rule} is refused`, async () => {
    await assert.rejects(
      verifyAttestationResult(token, { ...trust, ...changes }),
      (error) => error instanceof AttestationResultError && error.code === code,
    );
  });
}

const claims = payloadOf(signed);
const resign = (changes: Record<string, unknown>): string => {
  const input = `${part({ alg: "ES256", typ: "ear+jwt" })}.${part({ ...claims, ...changes })}`;
  return `${input}.${Buffer.from(es256(key.privateKey)(input)).toString("base64url")}`;
};
const submodule = { "ear.status": "affirming", "ear.trustworthiness-vector": {}, "ear.appraisal-policy-id": "p" };
const wellSigned: readonly { readonly rule: string; readonly changes: Record<string, unknown>; readonly says: RegExp }[] = [
  { rule: "of another profile", changes: { eat_profile: "x" }, says: /eat_profile/ },
  { rule: "whose subject is a number", changes: { sub: 5 }, says: /sub/ },
  { rule: "issued at a text", changes: { iat: "now" }, says: /iat/ },
  { rule: "whose verifier's developer is a number", changes: { "ear.verifier-id": { developer: 5, build: "b" } }, says: /verifier-id/ },
  { rule: "whose submodules are a text", changes: { submods: "x" }, says: /submods is not/ },
  { rule: "whose submodules are a list", changes: { submods: [submodule] }, says: /submods is not/ },
  { rule: "with a submodule that is null", changes: { submods: { a: null } }, says: /not an object/ },
  { rule: "with a status that is a number", changes: { submods: { a: { ...submodule, "ear.status": 2 } } }, says: /ear\.status/ },
  ...[[], null, "x", { hardware: -129 }, { hardware: 1.5 }].map((vector) => ({
    rule: `with the trustworthiness vector ${JSON.stringify(vector)}`,
    changes: { submods: { a: { ...submodule, "ear.trustworthiness-vector": vector } } },
    says: /vector/,
  })),
  { rule: "without its verifier", changes: { "ear.verifier-id": undefined }, says: /verifier-id/ },
  { rule: "whose verifier has no build", changes: { "ear.verifier-id": { developer: "d" } }, says: /verifier-id/ },
  { rule: "without submodules", changes: { submods: {} }, says: /submods/ },
  { rule: "with a submodule that is no object", changes: { submods: { a: 1 } }, says: /not an object/ },
  { rule: "with an unknown status", changes: { submods: { a: { ...submodule, "ear.status": "fine" } } }, says: /ear\.status/ },
  {
    rule: "with a tier of 9 bits",
    changes: { submods: { a: { ...submodule, "ear.trustworthiness-vector": { hardware: 300 } } } },
    says: /vector/,
  },
  {
    rule: "with a tier that is text",
    changes: { submods: { a: { ...submodule, "ear.trustworthiness-vector": { hardware: "2" } } } },
    says: /vector/,
  },
  {
    rule: "without the policy's name",
    changes: { submods: { a: { ...submodule, "ear.appraisal-policy-id": undefined } } },
    says: /policy-id/,
  },
];
for (const { rule, changes, says } of wellSigned) {
  test(`hazard A24: a result ${rule} is malformed, though its signature holds`, async () => {
    await assert.rejects(verifyAttestationResult(resign(changes), trust), (error) => {
      return error instanceof AttestationResultError && error.code === "RESULT_MALFORMED" && says.test(error.message);
    });
  });
}

test("hazard A17: a token of more than 64 KiB is refused before it is read", async () => {
  await assert.rejects(verifyAttestationResult("a".repeat(65_537), trust), { code: "RESULT_MALFORMED", message: /at most 65536/ });
});

test("verifyAttestationResult refuses with an AttestationResultError, whatever the input", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.string({ maxLength: 200 }),
        fc.nat(signed.length - 1).map((at) => signed.slice(0, at) + signed.slice(at + 1)),
      ),
      async (token) => {
        await assert.rejects(verifyAttestationResult(token, trust), AttestationResultError);
      },
    ),
  );
});

test("hazard A19: no result holds at a time that is none", async () => {
  await assert.rejects(verifyAttestationResult(signed, { ...trust, now: new Date("yesterday") }), { name: "TypeError", message: /`now`/ });
});
