/** Evidence of a CAS about itself, judged by its client: of a node agent, and of a real TPM in software. */
import assert from "node:assert/strict";
import { generateKeyPairSync, hash } from "node:crypto";
import { after, before, test } from "node:test";
import {
  createNodeStatement,
  type Evidence,
  EvidenceError,
  encodeEvidence,
  encodeWorkload,
  endorsementKeyId,
  NODE_AGENT_MEASUREMENT,
  parseTpmPublic,
} from "@vouchsafe/attestation";
import { type SoftwareTpm, startSoftwareTpm } from "../../attestation/src/testing/software-tpm.ts";
import { AttestationKeyAuthority } from "./attestation-key-authority.ts";
import { type CasEvidenceTrust, casEvidenceUserData, certifyTpmEvidence, type OpenCredential, verifyCasEvidence } from "./cas-evidence.ts";
import type { TpmCredential } from "./client-api.ts";

const STATEMENT = '{"format":"vouchsafe/cas-statement/1"}';
const now = new Date("2026-06-15T12:00:00Z");
const agent = generateKeyPairSync("ec", { namedCurve: "P-256" });
const trust: CasEvidenceTrust = {
  anchors: { node: [agent.publicKey.export({ type: "spki", format: "der" })] },
  tpm: { endorsementRoots: [], endorsementKeys: [] },
  findCollateral: async () => ({}),
  now,
};
const workload = { imageDigest: `sha256:${"ab".repeat(32)}`, fileSystemTag: "" };
const vouchedFor = (statement = STATEMENT): Evidence =>
  createNodeStatement(
    {
      ...{ ...workload, agentMeasurement: NODE_AGENT_MEASUREMENT, program: "/cas", service: "", instanceCounter: 1n },
      ...{ issuedAt: now, userData: casEvidenceUserData(statement) },
    },
    agent.privateKey,
  );
const verify = (evidence: Evidence | undefined, change: Partial<CasEvidenceTrust> = {}, open?: OpenCredential) =>
  verifyCasEvidence(
    { evidence: evidence === undefined ? null : encodeEvidence(evidence), signedStatement: STATEMENT },
    { ...trust, ...change },
    open,
  );

test("C-64 evidence of a CAS proves what it says of whoever made this very statement", async () => {
  assert.equal((await verify(vouchedFor()))?.kind, "node");
  assert.equal(await verify(undefined), undefined);
});

test("C-64, hazards B1, B2 evidence over another statement, of whoever is not trusted, or without its endorsements proves nothing", async () => {
  const relayed = { code: "CAS_EVIDENCE", message: /does not cover this statement/, remedy: /relays or replays/ };
  await assert.rejects(verify(vouchedFor(`${STATEMENT} `)), relayed);
  const stranger = { code: "CAS_EVIDENCE", message: /of kind node proves nothing/, remedy: /Enrol/ };
  await assert.rejects(verify(vouchedFor(), { anchors: { node: [] } }), stranger);
  const missing = async () => Promise.reject(new EvidenceError("EVIDENCE_SIGNATURE", "no collateral"));
  await assert.rejects(verify(vouchedFor(), { findCollateral: missing }), {
    code: "CAS_EVIDENCE",
    message: /proves nothing: no collateral/,
  });
  const broken = async () => Promise.reject(new RangeError("a fault of this program"));
  await assert.rejects(verify(vouchedFor(), { findCollateral: broken }), RangeError);
});

let tpm: SoftwareTpm;
let tpmEvidence: Evidence;
let endorsementKey: string;
const SELECTION = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14, 15];

before(async () => {
  tpm = await startSoftwareTpm();
  tpm.tool("createek", "-c", "ek.ctx", "-G", "rsa", "-u", "ek.pub");
  for (const name of ["ak", "other"]) {
    const files = ["-c", `${name}.ctx`, "-u", `${name}.pub`, "-n", `${name}.name`];
    tpm.tool("createak", "-C", "ek.ctx", "-G", "ecc", "-g", "sha256", "-s", "ecdsa", ...files);
  }
  tpm.tool("pcrextend", `15:sha256=${hash("sha256", encodeWorkload(workload))}`);
  const bank = `sha256:${SELECTION.join(",")}`;
  const output = ["-m", "quote.msg", "-s", "quote.sig", "-F", "values", "-o", "pcrs.bin"];
  tpm.tool("quote", "-c", "ak.ctx", "-l", bank, "-q", casEvidenceUserData(STATEMENT).toHex(), ...output);
  const values = tpm.read("pcrs.bin");
  const pcrs = Object.fromEntries(SELECTION.map((pcr, index) => [pcr, values.subarray(index * 32, index * 32 + 32).toHex()]));
  const endorsements = new Map<string, Uint8Array>([
    ["signature", tpm.read("quote.sig")],
    ["attestation-key", areaOf("ak")],
    ["endorsement-key", areaOf("ek")],
    ["pcrs", Buffer.from(JSON.stringify({ sha256: pcrs }))],
    ["workload", encodeWorkload(workload)],
  ]);
  tpmEvidence = { kind: "tpm", bytes: tpm.read("quote.msg"), endorsements };
  endorsementKey = endorsementKeyId(parseTpmPublic(areaOf("ek")));
});
after(() => tpm[Symbol.asyncDispose]());

/** TPMT_PUBLIC. */
const areaOf = (key: string): Uint8Array => tpm.read(`${key}.pub`).subarray(2);

/** What the TPM finds in a credential when it is to open it with this key. */
function openWith(key: string, { idObject, encryptedSecret }: TpmCredential): Uint8Array {
  const parts = [idObject, encryptedSecret].map((part) => Buffer.from(part, "base64"));
  tpm.write("credential", Buffer.concat([Buffer.from("badcc0de00000001", "hex"), ...parts]));
  tpm.tool("startauthsession", "--policy-session", "-S", "session.ctx");
  try {
    tpm.tool("policysecret", "-S", "session.ctx", "-c", "e");
    tpm.tool("activatecredential", "-c", `${key}.ctx`, "-C", "ek.ctx", "-i", "credential", "-o", "secret", "-P", "session:session.ctx");
    return tpm.read("secret");
  } finally {
    tpm.tool("flushcontext", "session.ctx");
  }
}
const open: OpenCredential = async (credential) => openWith("ak", credential);
const without = (...names: readonly string[]): Evidence => ({
  ...tpmEvidence,
  endorsements: new Map([...(tpmEvidence.endorsements ?? [])].filter(([name]) => !names.includes(name))),
});
const known = () => ({ endorsementRoots: [], endorsementKeys: [endorsementKey] });

test("C-64, hazard A13 a client lets the TPM of a CAS open a credential, and certifies its key itself", async () => {
  const { evidence, anchors } = await certifyTpmEvidence(tpmEvidence, { ...trust, tpm: known() }, open);
  assert.ok(evidence.endorsements?.has("attestation-key-certificate"));
  assert.equal(evidence.endorsements?.has("endorsement-key"), false);
  assert.deepEqual([anchors.node, anchors.tpm?.length], [trust.anchors.node, 1]);
  assert.equal((await verify(tpmEvidence, { tpm: known() }, open))?.platformId, `TPM_EK:${endorsementKey}`);
});

test("C-64, hazard A13 a TPM that nobody knows, and one that is not at the other end, prove nothing", async () => {
  await assert.rejects(verify(tpmEvidence, {}, open), { code: "CAS_EVIDENCE", message: /no certificate of its maker/ });
  await assert.rejects(verify(tpmEvidence, { tpm: known() }), { code: "CAS_EVIDENCE", message: /cannot be judged afterwards/ });
  const guessed = async () => new Uint8Array(32);
  await assert.rejects(verify(tpmEvidence, { tpm: known() }, guessed), { code: "CAS_EVIDENCE", message: /credential was not opened/ });
  const certificate = new Map([...(tpmEvidence.endorsements ?? []), ["endorsement-certificate", Uint8Array.of(5, 0)] as const]);
  await assert.rejects(
    verify({ ...tpmEvidence, endorsements: certificate }, { tpm: known() }, open),
    { code: "CAS_EVIDENCE", message: /certificate/ },
    "a certificate that comes along is read",
  );
});

test("C-64 evidence of a TPM that came without its endorsement key is judged by the roots that are trusted", async () => {
  for (const name of ["endorsement-key", "attestation-key"]) {
    const given = without(name);
    assert.deepEqual(await certifyTpmEvidence(given, { ...trust, tpm: known() }, undefined), { evidence: given, anchors: trust.anchors });
  }
});

test("hazard A13: an attestation key is certified when its TPM answered, for no other and with no other secret", async () => {
  const authority = new AttestationKeyAuthority(known, () => now);
  const request = (key: string) => ({
    ...{ endorsementKey: areaOf("ek").toBase64(), endorsementCertificates: [], attestationKey: areaOf(key).toBase64() },
  });
  const { credential, finish } = authority.begin(request("ak"));
  assert.throws(() => openWith("other", credential), /integrity check failed/);
  const secret = openWith("ak", credential);
  const unopened = { code: "EVIDENCE_SIGNATURE", message: /credential was not opened/ };
  for (const wrong of [
    new Uint8Array(0),
    secret.subarray(1),
    Buffer.concat([secret, Buffer.of(0)]),
    Uint8Array.from(secret, (byte, index) => (index === 31 ? byte ^ 1 : byte)),
    Uint8Array.from(secret).reverse(),
  ])
    assert.throws(() => finish(wrong), unopened);
  assert.ok(finish(secret).length > 100);
  assert.throws(() => authority.begin(request("ek")), { code: "EVIDENCE_SIGNATURE", message: /not an attestation key/ });
});
