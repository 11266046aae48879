import assert from "node:assert/strict";
import { generateKeyPairSync, hash } from "node:crypto";
import { test } from "node:test";
import { appraise, type ReferenceValues } from "./core/appraise.ts";
import { EvidenceError } from "./core/errors.ts";
import { decodeEvidence, type Evidence } from "./core/evidence.ts";
import { verifyEvidence } from "./core/verify.ts";
import { encodeWorkload } from "./core/workload.ts";
import { parseDstackEventLog, verifyDstackEventLog } from "./dstack/dstack-event-log.ts";
import { parseEventLog } from "./eventlog/event-log.ts";
import { parseQuote } from "./sgx/quote.ts";
import { simulateEvidence } from "./simulated/simulated-platform.ts";
import { eventLogBytes } from "./testing/mint-event-log.ts";
import { type IntelMint, type JsonDocument, mintedNow, mintIntel } from "./testing/mint-intel.ts";
import { mintNitro, nitroPayload, nitroTrust } from "./testing/mint-nitro.ts";
import { mintSnp } from "./testing/mint-snp.ts";
import { newSimulatedPlatform } from "./testing/simulated-keys.ts";
import { encodeTpmPublic, encodeTpmQuote, encodeTpmSignature } from "./tpm/encode-tpm-quote.ts";
import { parsePcrBanks } from "./tpm/pcr-banks.ts";
import { parseTpmPublic } from "./tpm/tpm-public.ts";
import { assertTpmKey, verifyTpmQuote } from "./tpm/verify-tpm-quote.ts";
import { parseCertificate } from "./x509/certificate.ts";
import { verifyCertificationPath } from "./x509/certification-path.ts";
import { tlv } from "./x509/der-writer.ts";
import { issueCertificate } from "./x509/issue-certificate.ts";

/*
 * What went wrong in verifiers of this field (named by when it was found), and must not here.
 */
function reasonOf(mint: IntelMint): string {
  const { quote, context } = mintIntel(mint);
  return refusal(() => verifyEvidence({ kind: mint.tee ?? "sgx", bytes: quote }, context)).reason;
}

function refusal(run: () => unknown): EvidenceError {
  try {
    run();
  } catch (error) {
    if (error instanceof EvidenceError) return error;
    throw error;
  }
  return assert.fail("nothing was refused");
}

const levelsOf = (document: JsonDocument): JsonDocument[] => document["tcbLevels"] as JsonDocument[]; // as minted
const modulesOf = (document: JsonDocument): JsonDocument[] => document["tdxModuleIdentities"] as JsonDocument[];
const tcbOf = (level: JsonDocument | undefined): JsonDocument => level?.["tcb"] as JsonDocument;

test("field/2026-01-qe-identity: an own enclave, otherwise genuinely certified, is no quoting enclave", () => {
  assert.equal(reasonOf({ qeReport: (report) => report.fill(9, 128, 160) }), "qe-identity-mismatch");
});

test("field/2026-03-tdx-module-identity: signed collateral is read whole, TDX modules too, and nothing unknown is dropped", () => {
  assert.equal(reasonOf({ tee: "tdx", body: (body) => body.set([1], 64) }), "tdx-module-mismatch");
  assert.equal(reasonOf({ tee: "tdx", tcbInfo: (info) => void Object.assign(info, { tdxModules: [] }) }), "parse-error");
});

test("field/2026-03-qe-vendor: a quoting enclave of another vendor is refused by its id", () => {
  assert.equal(reasonOf({ header: (header) => header.fill(1, 12, 28) }), "unsupported-qe-vendor");
});

test("field/2026-04-tcb-components: a list of security versions of another length never compares", () => {
  for (const change of [(list: unknown[]) => void list.pop(), (list: unknown[]) => void list.push({ svn: 0 })]) {
    assert.equal(reasonOf({ tcbInfo: (info) => change(tcbOf(levelsOf(info)[0])["sgxtcbcomponents"] as unknown[]) }), "parse-error");
  }
});

test("field/2026-04-tcb-level-order: the highest level that fits counts, wherever it stands", () => {
  const { quote, context } = mintIntel({ tcbInfo: (info) => void levelsOf(info).reverse() });
  assert.equal(verifyEvidence({ kind: "sgx", bytes: quote }, context).tcb.status, "UpToDate");
});

test("field/2026-05-der-depth: a million nested sequences are refused at once", () => {
  let der: Uint8Array = new Uint8Array(0);
  for (let depth = 0; depth < 5000; depth++) der = tlv(0x30, der);
  const started = process.cpuUsage().user;
  assert.throws(() => parseCertificate(der), EvidenceError);
  assert.ok(process.cpuUsage().user - started < 1_000_000);
});

test("field/2026-05-length-allocation: a length of 4 GiB is compared with what is there before anything is made of it", () => {
  const { quote } = mintIntel();
  const mutant = Buffer.from(quote);
  mutant.writeUInt32LE(0xffff_ffff, 432);
  const before = process.memoryUsage().arrayBuffers;
  assert.match(refusal(() => parseQuote(mutant)).message, /needs 4294967295 bytes at offset 436/);
  assert.ok(process.memoryUsage().arrayBuffers - before < 1_000_000);
});

const accepting: ReferenceValues = { kinds: ["tdx"], userData: "any", codeIdentities: "any" };

test("field/2026-05-service-td: a guest that a service TD is bound to is refused unless a policy tolerates it by name", () => {
  const { quote, context } = mintIntel({ tee: "tdx", version: 5, bodyType: 3, body: (body) => body.fill(1, 600, 648) });
  const claims = verifyEvidence({ kind: "tdx", bytes: quote }, context);
  assert.equal(appraise(claims, accepting).accepted, false);
  assert.equal(appraise(claims, { ...accepting, toleratedTcbStatuses: ["ConfigurationNeeded"] }).accepted, true);
});

test("field/2026-06-revoked-qe: a revoked quoting enclave gives no claims, whatever else was verified", () => {
  const isFirst = (document: JsonDocument) => void Object.assign(levelsOf(document)[0] ?? {}, { tcbStatus: "Revoked" });
  assert.equal(reasonOf({ qeIdentity: isFirst }), "tcb-revoked");
});

test("field/2026-09-collateral-dates: each document's own dates count, beside those of the certificates that signed it", () => {
  const ended = { nextUpdate: "2026-06-10T00:00:00Z" };
  assert.equal(reasonOf({ tcbInfo: (info) => void Object.assign(info, ended) }), "collateral-expired");
  assert.equal(reasonOf({ qeIdentity: (identity) => void Object.assign(identity, ended) }), "collateral-expired");
});

test("field/2026-09-module-attributes: attributes of a TDX module are compared under their mask, and an empty list of modules passes nobody", () => {
  assert.equal(reasonOf({ tee: "tdx", body: (body) => body.set([1], 112) }), "tdx-module-mismatch");
  assert.equal(reasonOf({ tee: "tdx", tcbInfo: (info) => void modulesOf(info).splice(0) }), "tdx-module-mismatch");
  assert.equal(
    reasonOf({ tee: "tdx", tcbInfo: (info) => void Object.assign(modulesOf(info)[0] ?? {}, { tcbLevels: [] }) }),
    "tcb-unsupported",
  );
});

const now = new Date("2026-11-25T12:00:00Z");
const workload = { imageDigest: `sha256:${"ab".repeat(32)}`, fileSystemTag: "" };
const platform = newSimulatedPlatform(now);
const simulated = simulateEvidence(platform, "snp", { userData: new Uint8Array(64), workload });
const simulatedTrust = { now, trustAnchors: { simulated: [platform.root] }, collateral: {} };

test("field/2026-mock-expires: simulated evidence ends with its platform's certificates, and proves nothing where its root is not named", () => {
  assert.equal(verifyEvidence(simulated, simulatedTrust).kind, "simulated");
  const later = new Date(now.getTime() + 31 * 86_400_000);
  assert.equal(refusal(() => verifyEvidence(simulated, { ...simulatedTrust, now: later })).code, "EVIDENCE_STALE");
  assert.equal(
    refusal(() => verifyEvidence(simulated, { ...simulatedTrust, trustAnchors: { snp: [platform.root] } })).code,
    "EVIDENCE_SIGNATURE",
  );
});

test("field/2026-collateral-age: a relying party may refuse documents that are valid but old, and evaluations older than one it has seen", () => {
  const { quote, context } = mintIntel();
  const verify = (intelFreshness: { maxAgeDays?: number; minEvaluationNumber?: number }) => () =>
    verifyEvidence({ kind: "sgx", bytes: quote }, { ...context, intelFreshness });
  assert.equal(refusal(verify({ maxAgeDays: 7 })).reason, "collateral-expired");
  assert.equal(refusal(verify({ minEvaluationNumber: 21 })).reason, "collateral-expired");
  assert.equal(verify({ maxAgeDays: 30, minEvaluationNumber: 20 })().kind, "sgx");
});

const key = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
const pcrs = new Map([[7, new Uint8Array(32)]]);

test("field/2026-03-nonce-padding: a TPM's nonce is compared whole: neither padded nor cut on one side", async () => {
  const { sign } = await import("node:crypto");
  const nonce = new Uint8Array(32).fill(3);
  const quoteOver = (extraData: Uint8Array) => {
    const message = encodeTpmQuote(extraData, pcrs);
    const signature = encodeTpmSignature(sign("sha256", message, { key, dsaEncoding: "ieee-p1363" }));
    const attestationKey = parseTpmPublic(encodeTpmPublic(key)).key;
    return () => verifyTpmQuote({ message, signature, attestationKey, nonce, pcrs: new Map([["sha256", pcrs]]) });
  };
  quoteOver(nonce)();
  for (const other of [Uint8Array.from([...nonce, ...new Uint8Array(32)]), nonce.subarray(0, 31), new Uint8Array(0)])
    assert.equal(refusal(quoteOver(other)).reason, "nonce-mismatch");
});

test("field/2025-weak-attestation-key: small RSA and curves outside the list attest nothing", () => {
  assert.equal(refusal(() => assertTpmKey({ kind: "rsa", modulusBits: 1024, spki: new Uint8Array(0) })).reason, "unsupported-algorithm");
  const area = Buffer.from(encodeTpmPublic(key));
  const curve = area.lastIndexOf(Buffer.from("0003", "hex"), area.length - 69);
  area.writeUInt16BE(0x0001, curve); // NIST P-192
  assert.equal(refusal(() => parseTpmPublic(area)).reason, "unsupported-algorithm");
});

test("field/2025-event-sizes: an event that claims more than the log has is refused, and a log of nothing but headers is no endless loop", () => {
  const log = Buffer.from(
    eventLogBytes(["sha256"], [{ register: 7, type: 13, digests: { sha256: new Uint8Array(32) }, data: new Uint8Array(4) }]),
  );
  log.writeUInt32LE(0xffff_fff0, log.length - 8);
  assert.equal(refusal(() => parseEventLog(log)).reason, "parse-error");
});

test("field/2026-01-register-index: registers outside a bank's range are refused, never read as something else", () => {
  for (const index of ["32", "-1", "1e1", "007", "constructor"]) {
    const bank = new TextEncoder().encode(JSON.stringify({ sha256: { [index]: "00".repeat(32) } }));
    assert.throws(() => parsePcrBanks(bank), EvidenceError, index);
  }
  const event = { imr: 4, event_type: 1, digest: "11".repeat(48), event: "", event_payload: "" };
  assert.equal(refusal(() => parseDstackEventLog(new TextEncoder().encode(JSON.stringify([event])))).reason, "parse-error");
});

test("field/2026-01-wildcard-name: a wildcard covers one label, and none below it", () => {
  const [issuer, leaf] = [generateKeyPairSync("ec", { namedCurve: "P-256" }), generateKeyPairSync("ec", { namedCurve: "P-256" })];
  const dates = { notBefore: new Date("2026-01-01T00:00:00Z"), notAfter: new Date("2027-01-01T00:00:00Z") };
  const issued = { ...dates, issuer: "root", issuerKey: issuer.privateKey };
  const root = parseCertificate(issueCertificate({ ...issued, subject: "root", publicKey: issuer.publicKey, serial: 1n, isCa: true }));
  const names = tlv(0x30, tlv(0x82, new TextEncoder().encode("*.example.com")));
  const extensions = [{ oid: "2.5.29.17", critical: false, value: names }];
  const certificate = parseCertificate(
    issueCertificate({ ...issued, subject: "leaf", publicKey: leaf.publicKey, serial: 2n, isCa: false, extensions }),
  );
  const verify = (value: string) => () =>
    verifyCertificationPath([certificate], { anchors: [root], now: mintedNow, subject: { kind: "dns", text: value } });
  assert.doesNotThrow(verify("a.example.com"));
  for (const name of ["a.b.example.com", "example.com", "aexample.com"]) assert.throws(verify(name), EvidenceError, name);
});

test("field/2026-no-anchor: without a trust anchor nothing is trusted, for every kind", () => {
  const { quote, context } = mintIntel();
  const { report, endorsementKey, signer } = mintSnp();
  const endorsements = new Map([
    ["endorsement-key", endorsementKey.der],
    ["signer", signer.der],
  ]);
  const given: readonly Evidence[] = [
    { kind: "sgx", bytes: quote },
    { kind: "snp", bytes: report, endorsements },
    { kind: "nitro", bytes: mintNitro() },
    simulated,
  ];
  for (const evidence of given) {
    const none = { ...context, now: evidence.kind === "nitro" ? nitroTrust.now : mintedNow, trustAnchors: {} };
    assert.throws(() => verifyEvidence(evidence, none), EvidenceError, evidence.kind);
  }
});

test("field/2026-07-trailing-bytes: evidence has no bytes behind it", () => {
  const behind = (bytes: Uint8Array) => Buffer.concat([bytes, Uint8Array.of(1)]);
  const { quote, context } = mintIntel();
  assert.equal(refusal(() => verifyEvidence({ kind: "sgx", bytes: behind(quote) }, context)).reason, "trailing-data");
  const nitro = { now: nitroTrust.now, trustAnchors: { nitro: nitroTrust.anchors.map(({ der }) => der) }, collateral: {} };
  assert.equal(refusal(() => verifyEvidence({ kind: "nitro", bytes: behind(mintNitro()) }, nitro)).reason, "trailing-data");
});

test("field/2026-07-unmeasured-log: an event that was logged and not measured is found out", () => {
  const digest = hash("sha384", Buffer.concat([Buffer.from("01000008", "hex"), Buffer.from(":app-id:"), Uint8Array.of(1)]));
  const log = [{ imr: 3, event_type: 0x08000001, digest, event: "app-id", event_payload: "01" }];
  const events = parseDstackEventLog(new TextEncoder().encode(JSON.stringify(log)));
  const unmeasured = Array.from({ length: 4 }, () => new Uint8Array(48));
  assert.equal(refusal(() => verifyDstackEventLog(events, unmeasured)).reason, "eventlog-mismatch");
});

test("field/2023-evidence-factory: genuine evidence of a generic guest does not speak for a workload that was not measured", () => {
  const other = encodeWorkload({ ...workload, imageDigest: `sha256:${"cd".repeat(32)}` });
  const evidence = { ...simulated, endorsements: new Map([...(simulated.endorsements ?? []), ["workload", other] as const]) };
  assert.equal(refusal(() => verifyEvidence(evidence, simulatedTrust)).reason, "runtime-data-mismatch");
});

test("field/2026-09-test-purpose: nothing inside evidence chooses verifier, test mode or root", () => {
  for (const name of ["test_purpose", "verifier", "root", "url", "policy", "mode"]) {
    const json = { kind: "snp", evidence: "AA==", [name]: "x" };
    assert.throws(() => decodeEvidence(json), EvidenceError, name);
  }
});

test("field/2026-typed-claims: values of another type are never equal, and every element of a list is judged", () => {
  const claims = { ...verifyEvidence(simulated, simulatedTrust), details: { vmpl: 3, name: "03" } };
  const judge = (details: ReferenceValues["details"]) =>
    appraise(claims, { kinds: ["simulated"], userData: "any", codeIdentities: "any", ...(details === undefined ? {} : { details }) })
      .accepted;
  assert.equal(judge({ vmpl: [3] }), true);
  for (const details of [{ vmpl: ["3"] }, { vmpl: ["03"] }, { name: [3] }, { vmpl: [0, 1, 2] }, { other: [3] }])
    assert.equal(judge(details), false);
});

test("field/2026-other-signer: a chain of one certificate does not speak for another that signed, though both come along", () => {
  const stranger = generateKeyPairSync("ec", { namedCurve: "P-384" });
  const names = { subject: "enclave.test", issuer: "enclave.test", publicKey: stranger.publicKey, issuerKey: stranger.privateKey };
  const dates = { notBefore: new Date("2026-01-01T00:00:00Z"), notAfter: new Date("2027-01-01T00:00:00Z") };
  const own = issueCertificate({ ...names, ...dates, serial: 7n, isCa: false });
  const { certificate, cabundle } = nitroPayload;
  const nitroContext = { now: nitroTrust.now, trustAnchors: { nitro: nitroTrust.anchors.map(({ der }) => der) }, collateral: {} };
  for (const payload of [
    {},
    { cabundle: [...cabundle, own] },
    { cabundle: [own, ...cabundle] },
    { certificate: own },
    { certificate: own, cabundle: [...cabundle, certificate] },
  ]) {
    const bytes = mintNitro({ payload, key: stranger.privateKey });
    assert.equal(refusal(() => verifyEvidence({ kind: "nitro", bytes }, nitroContext)).code, "EVIDENCE_SIGNATURE");
  }
  const { quote, context } = mintIntel({ qeReportKey: generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey });
  assert.equal(refusal(() => verifyEvidence({ kind: "sgx", bytes: quote }, context)).reason, "bad-qe-signature");
});

test("field/2022-out-of-date-accepted: a platform that is out of date, in debug mode or open to advisories is refused unless each is named", () => {
  const { quote, context } = mintIntel({ pceSvn: 12 });
  const claims = { ...verifyEvidence({ kind: "sgx", bytes: quote }, context), debug: true };
  const wanted: ReferenceValues = { kinds: ["sgx"], userData: "any", codeIdentities: "any" };
  const failed = (references: ReferenceValues) =>
    appraise(claims, references).checks.flatMap(({ name, outcome }) => (outcome === "failed" ? [name] : []));
  assert.deepEqual(failed(wanted), ["debug", "TCB status", "advisories"]);
  const all = { isDebugAccepted: true, toleratedTcbStatuses: ["OutOfDate"], ignoredAdvisories: ["INTEL-SA-00615"] } as const;
  assert.deepEqual(failed({ ...wanted, ...all }), []);
});
