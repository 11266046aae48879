import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { EvidenceError } from "../core/errors.ts";
import { decodeEvidence, type Evidence, encodeEvidence } from "../core/evidence.ts";
import type { VerificationContext } from "../core/trust.ts";
import { verifyEvidence } from "../core/verify.ts";
import { newSimulatedPlatform } from "../testing/simulated-keys.ts";
import { certificatePem } from "../x509/issue-certificate.ts";
import { SIMULATED_KINDS, simulatedCodeIdentity } from "./simulated-launch.ts";
import { simulateEvidence } from "./simulated-platform.ts";

const now = new Date("2026-11-25T12:00:00Z");
const platform = newSimulatedPlatform(now);
const workload = { imageDigest: `sha256:${"ab".repeat(32)}`, fileSystemTag: "00112233445566778899aabbccddeeff" };
const guest = { userData: new Uint8Array(64).fill(7), workload };
const evidence = simulateEvidence(platform, "snp", guest);
const context: VerificationContext = { now, trustAnchors: { simulated: [platform.root] }, collateral: {} };
const refusedFor = (reason: string) => (error: unknown) => error instanceof EvidenceError && error.reason === reason;
const replaced = (given: Evidence, name: string, bytes: Uint8Array): Evidence => ({
  ...given,
  endorsements: new Map([...(given.endorsements ?? []), [name, bytes]]),
});

for (const kind of SIMULATED_KINDS) {
  const imitation = simulateEvidence(platform, kind, guest);

  test(`simulated ${kind} passes the verifier of the kind it imitates, says what it is, and survives the wire`, () => {
    const received = decodeEvidence(JSON.parse(JSON.stringify(encodeEvidence(imitation))));
    const claims = verifyEvidence(received, context);
    assert.equal(claims.kind, "simulated");
    assert.equal(claims.details["imitates"], kind);
    assert.match(claims.platformId, /^SIMULATED:/);
    assert.equal(claims.tcb.status, "UpToDate");
    assert.equal(claims.debug, false);
    assert.deepEqual(Uint8Array.from(claims.userData), guest.userData);
    if (kind !== "sgx") assert.deepEqual(claims.workload, workload);
  });

  test(`the code identity of simulated ${kind} is known before anything runs, and another image has another`, () => {
    assert.equal(verifyEvidence(imitation, context).codeIdentity, simulatedCodeIdentity(kind, workload));
    const other = { ...workload, imageDigest: `sha256:${"cd".repeat(32)}` };
    assert.notEqual(simulatedCodeIdentity(kind, other), simulatedCodeIdentity(kind, workload));
    assert.equal(
      verifyEvidence(simulateEvidence(platform, kind, { ...guest, workload: other }), context).codeIdentity,
      simulatedCodeIdentity(kind, other),
    );
  });

  test(`hazard A21: a development root makes no genuine ${kind} evidence, and genuine roots do not serve simulated evidence`, () => {
    assert.throws(() => verifyEvidence(imitation, { ...context, trustAnchors: { [kind]: [platform.root] } }), EvidenceError);
    assert.throws(() => verifyEvidence({ ...imitation, kind, bytes: imitation.bytes.subarray(4) }, context), EvidenceError);
    const stranger = newSimulatedPlatform(now);
    assert.throws(() => verifyEvidence(imitation, { ...context, trustAnchors: { simulated: [stranger.root] } }), EvidenceError);
  });

  test(`C-49: simulated ${kind} ends with its platform's certificates`, () => {
    const later = new Date(now.getTime() + 31 * 86_400_000);
    assert.throws(() => verifyEvidence(imitation, { ...context, now: later }), EvidenceError);
  });

  test(`hazard A1: no byte of simulated ${kind} evidence may change`, () => {
    for (let at = 0; at < imitation.bytes.length; at += 7) {
      const bytes = Uint8Array.from(imitation.bytes);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
      let claims: ReturnType<typeof verifyEvidence> | undefined;
      try {
        claims = verifyEvidence({ ...imitation, bytes }, context);
      } catch (error) {
        assert(error instanceof EvidenceError, `byte ${at}: ${String(error)}`);
      }
      // Hints that nobody signs, and the zeros between the scalars of an SNP signature, may change; what is claimed may not.
      if (claims !== undefined) assert.deepEqual(claims, verifyEvidence(imitation, context), `byte ${at}`);
    }
  });
}

test("simulated TDX evidence is judged by the documents that came with it, whatever real vendors published", () => {
  const tdx = simulateEvidence(platform, "tdx", guest);
  const freshness = { intelFreshness: { minEvaluationNumber: 1000 } };
  assert.equal(verifyEvidence(tdx, { ...context, ...freshness }).tcb.status, "UpToDate");
  assert.throws(() => verifyEvidence(replaced(tdx, "tcb-info", new Uint8Array(0)), context), EvidenceError);
});

test("hazard A23: what evidence imitates chooses a verifier, never an anchor or a policy", () => {
  for (const name of ["node", "simulated", "none", ""]) {
    const bytes = Buffer.concat([Uint8Array.of(name.length), Buffer.from(name), evidence.bytes.subarray(4)]);
    assert.throws(() => verifyEvidence({ ...evidence, bytes }, context), refusedFor("parse-error"));
  }
});

test("a workload that the host did not measure is refused", () => {
  const other = simulateEvidence(platform, "snp", { ...guest, workload: { ...workload, fileSystemTag: "" } });
  const lie = replaced(evidence, "workload", other.endorsements?.get("workload") ?? new Uint8Array(0));
  assert.throws(() => verifyEvidence(lie, context), refusedFor("runtime-data-mismatch"));
});

test("its certificates say what they are to anybody who reads them, and OpenSSL can", () => {
  const root = new X509Certificate(certificatePem(platform.root));
  const { snp, intel, tpm } = platform;
  const chain =
    Buffer.from(intel.pckChain)
      .toString()
      .match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? [];
  for (const certificate of [root, ...[snp.signer, tpm.certificate, ...chain].map((one) => new X509Certificate(one))]) {
    assert.match(certificate.subject, /Vouchsafe development: proves nothing/);
    assert.match(certificate.issuer, /Vouchsafe development: proves nothing/);
  }
  assert.ok(new X509Certificate(snp.signer).verify(root.publicKey));
});
