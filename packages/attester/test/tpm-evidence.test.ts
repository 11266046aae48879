import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { after, before, test } from "node:test";
import { encodeWorkload, endorsementKeyId, parseTpmPublic, TpmError } from "@vouchsafe/attestation";
import { type SoftwareTpm, startSoftwareTpm } from "../../attestation/src/testing/software-tpm.ts";
import { refusal } from "../../cas/src/testing/policies.ts";
import { createTestClient, startTestCas, type TestCas } from "../../cas/src/testing/test-cas.ts";
import { tpmSource } from "../src/tpm-source.ts";

/*
 * A real TPM in software with the certificates of its maker, the runtime's gatherer, and a real CAS whose owner trusts that maker.
 */
const workload = encodeWorkload({ imageDigest: `sha256:${"ab".repeat(32)}`, fileSystemTag: "" });
const zero = "00".repeat(32);
const extended = (digest: string) => hash("sha256", Buffer.from(zero + digest, "hex"));
const PCR7 = extended("77".repeat(32));
const PCR15 = extended(hash("sha256", workload));

let tpm: SoftwareTpm;
before(async () => {
  tpm = await startSoftwareTpm({ isManufactured: true });
  tpm.tool("pcrextend", `7:sha256=${"77".repeat(32)}`);
  tpm.tool("pcrextend", `15:sha256=${hash("sha256", workload)}`);
});
after(() => tpm[Symbol.asyncDispose]());

const policy = (attestation: string, evidence = "[tpm]") => `
name: machine
version: "0.3"
security: {attestation: {evidence: ${evidence}}}
services: [{name: api, command: x, pwd: /, attestation: ${attestation}}]
`;
const ownerConfig = (tpmSection: object) => JSON.stringify({ tpm: tpmSection });
const pcrs = (values: Record<number, string>) => `{tpm: {pcrs: {${Object.entries(values).map(([index, value]) => `${index}: ${value}`)}}}}`;

async function casWith(t: Parameters<typeof startTestCas>[0], attestation: string, tpmSection: object): Promise<TestCas> {
  const cas = await startTestCas(t, { selfProvision: { config: ownerConfig(tpmSection) } });
  await cas.client(createTestClient()).uploadSession(policy(attestation));
  return cas;
}
const attest = (cas: TestCas, given: Uint8Array | undefined = workload) =>
  cas.attest("machine/api", {
    evidence: (userData, certifyKey) => tpmSource(tpm.address).gather({ userData, workload: given, certifyKey }),
    timeoutMs: 120_000,
  });

test("TPM evidence admits a service whose policy names PCR values; the CAS certified the key after credential activation", async (t) => {
  const cas = await casWith(t, pcrs({ 7: PCR7, 15: PCR15 }), { endorsement_roots: tpm.makerCertificates });
  const { configuration, connection } = await attest(cas);
  assert.equal(configuration.attested, true);
  assert.ok(configuration.warnings.length === 0 || configuration.warnings.every((warning) => !/simulated|node/.test(warning)));
  connection.close();
});

test("a PCR that differs is refused, and the reason names register, expected and found", async (t) => {
  const other = extended("66".repeat(32));
  const cas = await casWith(t, pcrs({ 7: other }), { endorsement_roots: tpm.makerCertificates });
  await assert.rejects(attest(cas), refusal("policy_unmet", "variants", new RegExp(`PCR 7 is ${PCR7}, expected ${other}`)));
});

test("hazard A13: a TPM whose maker is not trusted gets no certificate", async (t) => {
  const cas = await casWith(t, pcrs({ 7: PCR7 }), {});
  await assert.rejects(attest(cas), refusal("evidence_signature", "evidence", /no root of a TPM maker is trusted.*endorsement_roots/s));
  const strangers = await startSoftwareTpm({ isManufactured: true });
  t.after(() => strangers[Symbol.asyncDispose]());
  const other = await casWith(t, pcrs({ 7: PCR7 }), { endorsement_roots: strangers.makerCertificates });
  await assert.rejects(attest(other), refusal("evidence_signature", "evidence"));
});

test("an endorsement key that the owner enrolled needs no certificate of a maker", async (t) => {
  tpm.tool("readpublic", "-c", "0x81010001", "-f", "tss", "-o", "ek.pub");
  const id = endorsementKeyId(parseTpmPublic(tpm.read("ek.pub").subarray(2)));
  const cas = await casWith(t, pcrs({ 7: PCR7 }), { endorsement_keys: [id] });
  (await attest(cas)).connection.close();
  const pinned = await casWith(t, `${pcrs({ 7: PCR7 })}, platforms: ["TPM_EK:${"0".repeat(64)}"]`, { endorsement_keys: [id] });
  await assert.rejects(attest(pinned), refusal("policy_unmet", "platforms", new RegExp(`platform is TPM_EK:${id}`)));
});

test("hazard B1: a credential is for one TPM: another one's attestation key is not certified", async (t) => {
  const cas = await casWith(t, pcrs({ 7: PCR7 }), { endorsement_roots: tpm.makerCertificates });
  const other = await startSoftwareTpm();
  t.after(() => other[Symbol.asyncDispose]());
  other.tool(
    "createprimary",
    "-C",
    "e",
    "-G",
    "ecc256:ecdsa-sha256:null",
    "-a",
    "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign",
    "-c",
    "ak.ctx",
  );
  other.tool("readpublic", "-c", "ak.ctx", "-f", "tss", "-o", "ak.pub");
  const attempt = cas.attest("machine/api", {
    evidence: (userData, certifyKey) =>
      tpmSource(tpm.address).gather({
        userData,
        workload,
        certifyKey: (key) => certifyKey({ ...key, attestationKey: other.read("ak.pub").subarray(2).toBase64() }),
      }),
  });
  await assert.rejects(attempt, ({ cause }: Error) => cause instanceof TpmError && /refuses ActivateCredential/.test(cause.message));
});

test("hazard B1: whoever guesses the secret of a credential is refused, and gets no second try", async (t) => {
  const cas = await casWith(t, pcrs({ 7: PCR7 }), { endorsement_roots: tpm.makerCertificates });
  const attempt = cas.attest("machine/api", {
    evidence: (userData, certifyKey) =>
      tpmSource(tpm.address).gather({
        userData,
        workload,
        certifyKey: (key) => certifyKey({ ...key, activate: async () => new Uint8Array(32) }),
      }),
  });
  await assert.rejects(attempt, refusal("evidence_signature", "evidence", /was not opened/));
});

test("a workload that is not the one in PCR 15 is refused", async (t) => {
  const cas = await casWith(t, `{image: "sha256:${"ab".repeat(32)}", tpm: {pcrs: {7: ${PCR7}}}}`, {
    endorsement_roots: tpm.makerCertificates,
  });
  (await attest(cas)).connection.close();
  const lie = encodeWorkload({ imageDigest: `sha256:${"cd".repeat(32)}`, fileSystemTag: "" });
  await assert.rejects(attest(cas, lie), refusal("evidence_signature", "evidence", /PCR 15 is not the hash/));
});
