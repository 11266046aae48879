import assert from "node:assert/strict";
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { EvidenceError } from "../core/errors.ts";
import { decodeEvidence, encodeEvidence } from "../core/evidence.ts";
import type { VerificationContext } from "../core/trust.ts";
import { verifyEvidence } from "../core/verify.ts";
import { certificatePem } from "../x509/issue-certificate.ts";
import { createSimulatedPlatform, simulateSnpEvidence } from "./simulated-platform.ts";

const now = new Date("2026-11-25T12:00:00Z");
const key = () => generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey;
const platform = createSimulatedPlatform({ root: key(), signer: key(), processor: key() }, now);
const workload = { imageDigest: `sha256:${"ab".repeat(32)}`, fileSystemTag: "00112233445566778899aabbccddeeff" };
const guest = { userData: new Uint8Array(64).fill(7), measurement: new Uint8Array(48).fill(9), workload };
const evidence = simulateSnpEvidence(platform, guest);
const context: VerificationContext = { now, trustAnchors: { simulated: [platform.root] }, collateral: {} };
const refusedFor = (reason: string) => (error: unknown) => error instanceof EvidenceError && error.reason === reason;

test("simulated evidence passes the verifier of the kind it imitates, and says what it is", () => {
  const claims = verifyEvidence(evidence, context);
  assert.equal(claims.kind, "simulated");
  assert.equal(claims.details["imitates"], "snp");
  assert.match(claims.platformId, /^SIMULATED:SNP_CHIP_ID:/);
  assert.deepEqual(claims.workload, workload);
  assert.deepEqual(Uint8Array.from(claims.userData), guest.userData);
});

test("it survives the wire", () => {
  const received = decodeEvidence(JSON.parse(JSON.stringify(encodeEvidence(evidence))));
  assert.equal(verifyEvidence(received, context).codeIdentity, verifyEvidence(evidence, context).codeIdentity);
});

test("hazard A21: a development root serves no other kind, and genuine roots do not serve simulated evidence", () => {
  assert.throws(() => verifyEvidence(evidence, { ...context, trustAnchors: { snp: [platform.root] } }), EvidenceError);
  const genuine = { ...evidence, kind: "snp" as const, bytes: evidence.bytes.subarray(4) };
  assert.throws(() => verifyEvidence(genuine, context), EvidenceError);
});

test("hazard A23: what evidence imitates chooses a verifier, never an anchor or a policy", () => {
  for (const name of ["node", "simulated", "none", ""]) {
    const bytes = Buffer.concat([Uint8Array.of(name.length), Buffer.from(name), evidence.bytes.subarray(4)]);
    assert.throws(() => verifyEvidence({ ...evidence, bytes }, context), refusedFor("parse-error"));
  }
});

test("simulated evidence ends with its platform's certificates", () => {
  const later = new Date(now.getTime() + 31 * 86_400_000);
  assert.throws(() => verifyEvidence(evidence, { ...context, now: later }), refusedFor("cert-expired"));
});

test("a workload that the host did not measure is refused", () => {
  const other = simulateSnpEvidence(platform, { ...guest, workload: { ...workload, fileSystemTag: "" } });
  const endorsements = new Map([
    ...(evidence.endorsements ?? []),
    ["workload", other.endorsements?.get("workload") ?? new Uint8Array(0)] as const,
  ]);
  assert.throws(() => verifyEvidence({ ...evidence, endorsements }, context), refusedFor("runtime-data-mismatch"));
});

test("its certificates say what they are to anybody who reads them, and OpenSSL can", () => {
  const root = new X509Certificate(certificatePem(platform.root));
  assert.match(root.subject, /simulated.*proves nothing/);
  assert.ok(new X509Certificate(platform.signer).verify(root.publicKey));
});
