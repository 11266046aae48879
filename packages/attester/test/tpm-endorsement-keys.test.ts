import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, hash } from "node:crypto";
import { after, before, test } from "node:test";
import {
  createPrimary,
  ENDORSEMENT_KEYS,
  type EndorsementKeyKind,
  encodeWorkload,
  endorsementKeyId,
  flushContext,
  parseTpmPublic,
  TPM_HANDLES,
} from "@vouchsafe/attestation";
import { type SoftwareTpm, startSoftwareTpm } from "../../attestation/src/testing/software-tpm.ts";
import { certificatePem, issueCertificate } from "../../attestation/src/x509/issue-certificate.ts";
import { createTestClient, startTestCas } from "../../cas/src/testing/test-cas.ts";
import { openTpm } from "../src/tpm-connection.ts";
import { tpmSource } from "../src/tpm-source.ts";

/*
 * Endorsement keys of every kind that makers certify, in a real TPM in software. Runtime and CAS as in tpm-evidence.test.ts.
 */
const workload = encodeWorkload({ imageDigest: `sha256:${"ab".repeat(32)}`, fileSystemTag: "" });
const maker = generateKeyPairSync("ec", { namedCurve: "P-384" });
const day = 86_400_000;
const issued = {
  issuer: "maker",
  issuerKey: maker.privateKey,
  notBefore: new Date(Date.now() - day),
  notAfter: new Date(Date.now() + 30 * day),
};
const root = issueCertificate({ ...issued, subject: "maker", publicKey: maker.publicKey, serial: 1n, isCa: true });

let tpm: SoftwareTpm;
before(async () => {
  tpm = await startSoftwareTpm();
  tpm.tool("pcrextend", `15:sha256=${hash("sha256", workload)}`);
});
after(() => tpm[Symbol.asyncDispose]());

/** The platform that a CAS sees which trusts these makers and whose policy accepts any program on this boot. */
async function platformSeen(t: Parameters<typeof startTestCas>[0], roots: readonly string[], { address }: SoftwareTpm): Promise<string> {
  const cas = await startTestCas(t, { selfProvision: { config: JSON.stringify({ tpm: { endorsement_roots: roots } }) } });
  const seen: string[] = [];
  const register = hash("sha256", Buffer.from("00".repeat(32) + hash("sha256", workload), "hex"));
  await cas
    .client(createTestClient())
    .uploadSession(
      `{name: machine, version: "0.3", security: {attestation: {evidence: [tpm]}}, services: [{name: api, command: x, pwd: /, attestation: {tpm: {pcrs: {15: ${register}}}}}]}`,
    );
  const { connection } = await cas.attest("machine/api", {
    evidence: (userData, certifyKey) =>
      tpmSource(address).gather({
        userData,
        workload,
        certifyKey: (key) => {
          seen.push(endorsementKeyId(parseTpmPublic(Uint8Array.fromBase64(key.endorsementKey))));
          return certifyKey(key);
        },
      }),
    timeoutMs: 120_000,
  });
  connection.close();
  return seen.join();
}

/** Has the TPM make the key, and puts a certificate for it where makers put theirs. Returns its id. */
async function certify({ template, certificateIndex }: EndorsementKeyKind): Promise<string> {
  await using connection = await openTpm(tpm.address);
  const { handle, publicArea } = await connection.run(createPrimary(TPM_HANDLES.endorsement, template));
  await connection.run(flushContext(handle));
  await connection[Symbol.asyncDispose]();
  const key = parseTpmPublic(publicArea);
  const publicKey = createPublicKey({ key: Buffer.from(key.key.spki), format: "der", type: "spki" });
  const certificate = issueCertificate({ ...issued, subject: "endorsement key", publicKey, serial: 2n, isCa: false });
  tpm.write("ek.der", certificate);
  const index = `0x${certificateIndex.toString(16)}`;
  tpm.tool("nvdefine", index, "-C", "o", "-s", String(certificate.length), "-a", "ownerread|ownerwrite|authread");
  tpm.tool("nvwrite", index, "-C", "o", "-i", "ek.der");
  return endorsementKeyId(key);
}

for (const kind of ENDORSEMENT_KEYS) {
  test(`an endorsement key ${kind.name}, certified by a maker that the CAS trusts, is found, made and proven`, async (t) => {
    const id = await certify(kind);
    try {
      assert.equal(await platformSeen(t, [certificatePem(root)], tpm), id);
    } finally {
      tpm.tool("nvundefine", `0x${kind.certificateIndex.toString(16)}`, "-C", "o");
    }
  });
}

test("a TPM of a maker without RSA 2048 keys attests with the key on P-384 that its maker left in it", async (t) => {
  await using manufactured = await startSoftwareTpm({ isManufactured: true, rsaBits: 3072 });
  manufactured.tool("pcrextend", `15:sha256=${hash("sha256", workload)}`);
  manufactured.tool("readpublic", "-c", "0x81010016", "-f", "tss", "-o", "kept.pub");
  const kept = parseTpmPublic(manufactured.read("kept.pub").subarray(2));
  assert.deepEqual([kept.key.kind, kept.nameAlgorithm], ["ec", "sha384"]);
  assert.equal(await platformSeen(t, manufactured.makerCertificates, manufactured), endorsementKeyId(kept));
});
