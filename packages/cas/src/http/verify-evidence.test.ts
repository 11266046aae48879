import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync, X509Certificate } from "node:crypto";
import { type TestContext, test } from "node:test";
import { encodeEvidence, verifyAttestationResult } from "@vouchsafe/attestation";
import { decodeProtectedHeader, jwtVerify, SignJWT } from "jose";
import { type IntelMint, type JsonDocument, mintedNow, mintIntel } from "../../../attestation/src/testing/mint-intel.ts";
import { mintedSource } from "../../../collateral/src/testing/minted-source.ts";
import { problem, TEST_CODE, testPolicy } from "../testing/policies.ts";
import { createTestClient, startTestCas } from "../testing/test-cas.ts";

const MRENCLAVE = "3e".repeat(32);
const ENABLED = "[verify_evidence]\nenabled = true\n";
const USER_DATA = new Uint8Array(64).fill(0x44);
const audience = "relying.example";

async function startVerifier(t: TestContext, mint: IntelMint = {}, config = ENABLED) {
  const minted = mintIntel(mint);
  const cas = await startTestCas(t, {
    now: () => mintedNow,
    trustAnchors: { sgx: [minted.root] },
    collateral: { sources: [mintedSource(minted)] },
    selfProvision: { config },
  });
  const owner = createTestClient();
  const evidence = encodeEvidence({ kind: "sgx", bytes: minted.quote });
  return { cas, client: cas.client(owner), json: { kind: evidence.kind, evidence: evidence.evidence } };
}

const outdated = (document: JsonDocument) => {
  const [best] = document["tcbLevels"] as JsonDocument[];
  Object.assign(best ?? {}, { tcbStatus: "OutOfDate" });
};

/** As a Relying Party does: the chain up to the pinned CAS key first, then the token under the key of its first certificate. */
function resultKey(chain: readonly string[], casKeyHash: string, expected: string) {
  const [leaf, software, root] = chain.map((pem) => new X509Certificate(pem));
  assert.ok(leaf && software && root);
  assert.equal(casKeyHash, expected);
  assert.ok(leaf.verify(software.publicKey) && software.verify(root.publicKey) && root.verify(root.publicKey));
  assert.match(leaf.subject, /attestation-results/);
  return leaf.publicKey;
}

test("evidence is verified for others and the result signed as EAR, which jose verifies up to the CAS key", async (t) => {
  const { cas, client, json } = await startVerifier(t);
  await client.uploadSession(testPolicy({ name: "shop", security: "{attestation: {evidence: [sgx]}}" }).replace(TEST_CODE, MRENCLAVE));
  const { token, chain } = await client.verifyEvidence({ evidence: json, audience, userData: USER_DATA, service: "shop/api" });
  const key = resultKey(chain, client.identity?.casKeyHash ?? "", cas.running.casKeyHash);
  const { payload, protectedHeader } = await jwtVerify(token, key, {
    algorithms: ["ES256"],
    audience,
    currentDate: mintedNow,
    typ: "ear+jwt",
  });
  assert.deepEqual(Object.keys(protectedHeader).sort(), ["alg", "typ"]);
  assert.equal(payload["eat_profile"], "tag:github.com,2023:veraison/ear");
  assert.equal(payload.sub, "shop/api");
  const submods = payload["submods"] as Record<string, Record<string, unknown>>;
  assert.equal(submods["sgx"]?.["ear.status"], "affirming");
  assert.deepEqual(submods["sgx"]?.["ear.trustworthiness-vector"], {
    "instance-identity": 2,
    hardware: 2,
    "runtime-opaque": 2,
    executables: 2,
  });
  assert.match(String(submods["sgx"]?.["ear.appraisal-policy-id"]), /^sha256:[0-9a-f]{64}$/);
});

const verdicts: readonly {
  rule: string;
  mint?: IntelMint;
  platform?: string;
  code?: string;
  userData?: Uint8Array;
  status: string;
  vector: object;
}[] = [
  { rule: "other code", code: "00".repeat(32), status: "contraindicated", vector: { executables: 96 } },
  { rule: "other user data", userData: new Uint8Array(64), status: "contraindicated", vector: { "instance-identity": 96 } },
  { rule: "an outdated platform", mint: { tcbInfo: outdated }, status: "contraindicated", vector: { hardware: 96 } },
  {
    rule: "a tolerated platform",
    mint: { tcbInfo: outdated },
    platform: ", tolerate: [outdated-tcb]",
    status: "warning",
    vector: { hardware: 32 },
  },
  {
    rule: "a platform accepted by exception",
    mint: { tcbInfo: outdated },
    platform: ", exceptions: [{tolerate: [outdated-tcb], until: 2026-12-31, because: x}]",
    status: "warning",
    vector: { hardware: 32 },
  },
  {
    rule: "a debug enclave",
    mint: { body: (body) => void body.writeUInt8(0x07, 48) },
    status: "contraindicated",
    vector: { "runtime-opaque": 96 },
  },
];
for (const { rule, mint = {}, platform = "", code = MRENCLAVE, userData = USER_DATA, status, vector } of verdicts) {
  test(`the result of ${rule} is ${status}, at its place in the vector`, async (t) => {
    const { client, json } = await startVerifier(t, mint);
    const security = `{attestation: {evidence: [sgx]${platform}}}`;
    await client.uploadSession(testPolicy({ name: "shop", security }).replace(TEST_CODE, code));
    const { token, chain } = await client.verifyEvidence({ evidence: json, audience, userData, service: "shop/api" });
    const publicKey = new X509Certificate(chain[0] ?? "").publicKey;
    const result = await verifyAttestationResult(token, { publicKey, algorithm: "ES256", audience, now: mintedNow });
    const submodule = result.submodules.get("sgx");
    assert.equal(submodule?.status, status);
    for (const [claim, tier] of Object.entries(vector)) assert.equal(submodule?.trustworthiness[claim as "hardware"], tier, claim);
  });
}

test("without a policy the result says nothing of the code, and without user data it warns", async (t) => {
  const { client, json } = await startVerifier(t);
  const { token, chain } = await client.verifyEvidence({ evidence: json, audience });
  const publicKey = new X509Certificate(chain[0] ?? "").publicKey;
  const { submodules, subject } = await verifyAttestationResult(token, { publicKey, algorithm: "ES256", audience, now: mintedNow });
  assert.equal(submodules.get("sgx")?.trustworthiness.executables, undefined);
  assert.equal(submodules.get("sgx")?.trustworthiness["instance-identity"], 32);
  assert.match(subject, /^INTEL_QE_ID:/);
});

test("it is off unless the owner switches it on, needs a certificate, and judges by no policy that the asker may not read", async (t) => {
  const off = await startVerifier(t, {}, "");
  await assert.rejects(off.client.verifyEvidence({ evidence: off.json, audience }), problem("unsupported", /verify_evidence\.enabled/));
  const { cas, client, json } = await startVerifier(t);
  await assert.rejects(cas.client().verifyEvidence({ evidence: json, audience }), problem("unauthenticated"));
  await client.uploadSession(testPolicy({ name: "shop", security: "{attestation: {evidence: [sgx]}}" }));
  const stranger = cas.client(createTestClient());
  for (const service of ["shop/api", "shop/none", "none/api"]) {
    await assert.rejects(stranger.verifyEvidence({ evidence: json, audience, service }), problem("not_found", /not visible/));
  }
  const forged = Buffer.from(json.evidence, "base64");
  forged[100] = (forged[100] ?? 0) ^ 1;
  await assert.rejects(
    client.verifyEvidence({ evidence: { ...json, evidence: forged.toString("base64") }, audience }),
    problem("bad_request", /proves nothing \(evidence_signature\)/),
  );
});

test("hazard B10, field/2026-04-endorsed-key: a result serves nobody but its audience, ends, and cannot be forged by headers or key confusion", async (t) => {
  const { client, json } = await startVerifier(t);
  const { token, chain } = await client.verifyEvidence({ evidence: json, audience });
  const publicKey = new X509Certificate(chain[0] ?? "").publicKey;
  const trust = { publicKey, algorithm: "ES256", audience, now: mintedNow } as const;
  await verifyAttestationResult(token, trust);
  await assert.rejects(verifyAttestationResult(token, { ...trust, audience: "other.example" }), { code: "RESULT_AUDIENCE" });
  await assert.rejects(verifyAttestationResult(token, { ...trust, now: new Date(mintedNow.getTime() + 301_000) }), {
    code: "RESULT_STALE",
  });
  assert.equal(decodeProtectedHeader(token).alg, "ES256");
  const [, payload = ""] = token.split(".");
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const none = `${encode({ alg: "none", typ: "ear+jwt" })}.${payload}.`;
  const confused = `${encode({ alg: "HS256", typ: "ear+jwt" })}.${payload}`;
  const hmac = createHmac("sha256", publicKey.export({ type: "spki", format: "pem" }))
    .update(confused)
    .digest("base64url");
  const other = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const claims = JSON.parse(Buffer.from(payload, "base64url").toString()) as Record<string, unknown>;
  const embedded = await new SignJWT(claims)
    .setProtectedHeader({ alg: "ES256", typ: "ear+jwt", jwk: other.publicKey.export({ format: "jwk" }), kid: "../../etc/passwd" })
    .sign(other.privateKey);
  for (const forged of [none, `${confused}.${hmac}`, embedded]) {
    await assert.rejects(verifyAttestationResult(forged, trust), (error: Error & { code?: string }) =>
      /^RESULT_(SIGNATURE|MALFORMED)$/.test(error.code ?? ""),
    );
  }
});
