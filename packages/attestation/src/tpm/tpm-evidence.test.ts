import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, hash, sign } from "node:crypto";
import { after, before, test } from "node:test";
import { concat } from "../core/bytes.ts";
import { EvidenceError } from "../core/errors.ts";
import type { Evidence } from "../core/evidence.ts";
import type { VerificationContext } from "../core/trust.ts";
import { verifyEvidence } from "../core/verify.ts";
import { encodeWorkload } from "../core/workload.ts";
import { extendRegister, zeroRegister } from "../eventlog/replay.ts";
import { eventLogBytes } from "../testing/mint-event-log.ts";
import { type SoftwareTpm, startSoftwareTpm } from "../testing/software-tpm.ts";
import { issueCertificate } from "../x509/issue-certificate.ts";
import { encodeTpmPublic, encodeTpmQuote, encodeTpmSignature } from "./encode-tpm-quote.ts";
import { sized } from "./tpm-command.ts";
import { parseTpmPublic } from "./tpm-public.ts";

const authority = generateKeyPairSync("ec", { namedCurve: "P-256" });
const validity = { notBefore: new Date("2026-01-01T00:00:00Z"), notAfter: new Date("2027-01-01T00:00:00Z") };
const root = issueCertificate({
  ...{
    subject: "attestation key authority",
    issuer: "attestation key authority",
    publicKey: authority.publicKey,
    issuerKey: authority.privateKey,
  },
  ...{ serial: 1n, isCa: true, ...validity },
});
const context: VerificationContext = { now: new Date("2026-06-01T00:00:00Z"), trustAnchors: { tpm: [root] }, collateral: {} };
const workload = {
  imageDigest: `sha256:${"ab".repeat(32)}`,
  fileSystemTag: "00112233445566778899aabbccddeeff",
  program: "/usr/bin/python3",
};
const channelBinding = Uint8Array.from({ length: 64 }, (_, index) => index * 3);
const endorsementKeyId = "5a".repeat(32);
const refusedFor = (reason: string) => (error: unknown) => error instanceof EvidenceError && error.reason === reason;

let tpm: SoftwareTpm;
let evidence: Evidence;

/** What the runtime gathers: a quote over the channel binding, and what proves it. */
function gather(key: string): Evidence {
  const selection = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14, 15];
  const options = ["-l", `sha256:${selection.join(",")}`, "-q", channelBinding.toHex(), "-F", "values", "-o", "pcrs.bin"];
  tpm.tool("quote", "-c", `${key}.ctx`, ...options, "-m", "quote.msg", "-s", "quote.sig");
  const values = tpm.read("pcrs.bin");
  const bank = Object.fromEntries(selection.map((pcr, index) => [pcr, values.subarray(index * 32, index * 32 + 32).toHex()]));
  const publicArea = tpm.read(`${key}.pub`).subarray(2);
  const certified = createPublicKey({ key: Buffer.from(parseTpmPublic(publicArea).key.spki), format: "der", type: "spki" });
  const certificate = issueCertificate({
    ...{ subject: `TPM_EK:${endorsementKeyId}`, issuer: "attestation key authority", publicKey: certified },
    ...{ issuerKey: authority.privateKey, serial: 2n, isCa: false, ...validity },
  });
  const endorsements = new Map<string, Uint8Array>([
    ["signature", tpm.read("quote.sig")],
    ["attestation-key", publicArea],
    ["attestation-key-certificate", certificate],
    ["pcrs", Buffer.from(JSON.stringify({ sha256: bank }))],
    ["workload", encodeWorkload(workload)],
  ]);
  return { kind: "tpm", bytes: tpm.read("quote.msg"), endorsements };
}
const changed = (name: string, value: Uint8Array): Evidence => ({
  ...evidence,
  endorsements: new Map([...(evidence.endorsements ?? []), [name, value]]),
});

before(async () => {
  tpm = await startSoftwareTpm();
  tpm.tool("createek", "-c", "ek.ctx", "-G", "rsa", "-u", "ek.pub");
  tpm.tool("createak", "-C", "ek.ctx", "-c", "ak.ctx", "-G", "ecc", "-g", "sha256", "-s", "ecdsa", "-u", "ak.pub", "-n", "ak.name");
  tpm.tool(
    "createak",
    "-C",
    "ek.ctx",
    "-c",
    "other.ctx",
    "-G",
    "ecc",
    "-g",
    "sha256",
    "-s",
    "ecdsa",
    "-u",
    "other.pub",
    "-n",
    "other.name",
  );
  tpm.tool("pcrextend", `4:sha256=${"cd".repeat(32)}`);
  tpm.tool("pcrextend", `15:sha256=${hash("sha256", encodeWorkload(workload))}`);
  evidence = gather("ak");
});
after(() => tpm[Symbol.asyncDispose]());

test("evidence of a real TPM proves what was booted, what runs, on which machine, over which channel", () => {
  const claims = verifyEvidence(evidence, context);
  assert.deepEqual(Uint8Array.from(claims.userData), channelBinding);
  assert.deepEqual(claims.workload, workload);
  assert.equal(claims.platformId, `TPM_EK:${endorsementKeyId}`);
  assert.equal(
    claims.details["pcr4"],
    tpm
      .tool("pcrread", "sha256:4")
      .match(/0x([0-9A-F]{64})/)?.[1]
      ?.toLowerCase(),
  );
});

test("another boot is another code identity, and so is another workload", () => {
  const { codeIdentity } = verifyEvidence(evidence, context);
  const withoutWorkload = new Map(evidence.endorsements);
  withoutWorkload.delete("workload");
  assert.notEqual(verifyEvidence({ ...evidence, endorsements: withoutWorkload }, context).codeIdentity, codeIdentity);
  tpm.tool("pcrextend", `9:sha256=${"ee".repeat(32)}`);
  assert.notEqual(verifyEvidence(gather("ak"), context).codeIdentity, codeIdentity);
});

test("hazard A13: the key is certified by nobody who is trusted, or the certificate is another key's", () => {
  assert.throws(() => verifyEvidence(evidence, { ...context, trustAnchors: {} }), EvidenceError);
  const other = gather("other").endorsements?.get("attestation-key-certificate") ?? assert.fail();
  assert.throws(() => verifyEvidence(changed("attestation-key-certificate", other), context), refusedFor("bad-chain"));
});

test("hazard A13: a key that signs anything is no attestation key, certified or not", () => {
  const key = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const { x = "", y = "" } = createPublicKey(key.privateKey).export({ format: "jwk" });
  const sized = (text: string) => Buffer.concat([Uint8Array.of(0, 32), Buffer.from(text, "base64url")]);
  // TPMT_PUBLIC of an ECC key with attributes sign and userWithAuth only
  const header = Buffer.from("0023000b000400400000001000180" + "00b00030010", "hex");
  const area = Buffer.concat([header, sized(x), sized(y)]);
  assert.throws(() => verifyEvidence(changed("attestation-key", area), context), refusedFor("policy"));
});

test("a workload that was not the only thing measured into PCR 15 is refused", () => {
  const other = encodeWorkload({ ...workload, program: "/usr/bin/perl" });
  assert.throws(() => verifyEvidence(changed("workload", other), context), refusedFor("runtime-data-mismatch"));
});

/** A quote that no TPM made, under a key that the authority certified all the same. */
function mintedEvidence(message: Uint8Array, digest: "sha1" | "sha256", pcrs: object): Evidence {
  const key = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const certificate = issueCertificate({
    ...{ subject: `TPM_EK:${endorsementKeyId}`, issuer: "attestation key authority", publicKey: key.publicKey },
    ...{ issuerKey: authority.privateKey, serial: 2n, isCa: false, ...validity },
  });
  const signature = encodeTpmSignature(sign(digest, message, { key: key.privateKey, dsaEncoding: "ieee-p1363" }));
  signature.set([0, digest === "sha1" ? 0x04 : 0x0b], 2);
  const endorsements = new Map<string, Uint8Array>([
    ["signature", signature],
    ["attestation-key", encodeTpmPublic(key.privateKey)],
    ["attestation-key-certificate", certificate],
    ["pcrs", Buffer.from(JSON.stringify(pcrs))],
  ]);
  return { kind: "tpm", bytes: message, endorsements };
}

test("hazard A13: SHA-1 proves nothing, neither in the signature nor as the only bank", () => {
  const value = new Uint8Array(32).fill(4);
  const message = encodeTpmQuote(channelBinding, new Map([[0, value]]));
  const banks = { sha256: { 0: value.toHex() } };
  assert.equal(verifyEvidence(mintedEvidence(message, "sha256", banks), context).details["pcr0"], value.toHex());
  const digestAt = message.length - 34;
  const signedWithSha1 = concat(message.subarray(0, digestAt), sized(hash("sha1", value, "buffer")));
  assert.throws(() => verifyEvidence(mintedEvidence(signedWithSha1, "sha1", banks), context), refusedFor("weak-algorithm"));
  const short = value.subarray(0, 20);
  const bankAt = digestAt - 6;
  const bankOfSha1 = concat(
    message.subarray(0, bankAt),
    Uint8Array.of(0, 4),
    message.subarray(bankAt + 2, digestAt),
    sized(hash("sha256", short, "buffer")),
  );
  assert.throws(
    () => verifyEvidence(mintedEvidence(bankOfSha1, "sha256", { sha1: { 0: short.toHex() } }), context),
    refusedFor("weak-algorithm"),
  );
});

test("hazard A13: a log that comes along has to lead to the PCRs that were quoted", () => {
  const digest = hash("sha256", "an event", "buffer");
  const logOf = (register: number) =>
    eventLogBytes(["sha256"], [{ register, type: 0x0d, digests: { sha256: digest }, data: Buffer.from("an event") }]);
  const pcrs = new Map([
    [4, extendRegister("sha256", zeroRegister("sha256"), digest)],
    [5, new Uint8Array(32)],
  ]);
  const banks = { sha256: Object.fromEntries([...pcrs].map(([index, value]) => [index, value.toHex()])) };
  const minted = mintedEvidence(encodeTpmQuote(channelBinding, pcrs), "sha256", banks);
  const withLog = (log: Uint8Array) =>
    verifyEvidence({ ...minted, endorsements: new Map([...(minted.endorsements ?? []), ["event-log", log]]) }, context);
  assert.equal(withLog(logOf(4)).kind, "tpm");
  assert.throws(() => withLog(logOf(5)), refusedFor("eventlog-mismatch"));
  assert.throws(() => withLog(Uint8Array.of(1)), { code: "EVIDENCE_MALFORMED" });
});

test("hazard A19: every endorsement that is needed is asked for", () => {
  for (const name of ["signature", "attestation-key", "attestation-key-certificate", "pcrs"]) {
    const endorsements = new Map(evidence.endorsements);
    endorsements.delete(name);
    assert.throws(() => verifyEvidence({ ...evidence, endorsements }, context), refusedFor("collateral-missing"), name);
  }
});

test("C-49: a certificate outside its validity is refused", () => {
  assert.throws(() => verifyEvidence(evidence, { ...context, now: new Date("2028-01-01T00:00:00Z") }), refusedFor("cert-expired"));
});
