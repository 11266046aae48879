import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, hash } from "node:crypto";
import { test } from "node:test";
import { VerificationCache } from "../collateral/verification-cache.ts";
import type { Claims } from "../core/claims.ts";
import type { VerificationContext } from "../core/trust.ts";
import { verifyEvidence } from "../core/verify.ts";
import { encodeWorkload } from "../core/workload.ts";
import { FMSPC, type IntelMint, type JsonDocument, mintedNow, mintIntel, SERIALS } from "../testing/mint-intel.ts";
import { parsePemCertificates } from "../x509/certificate.ts";
import { certificatePem, issueCertificate } from "../x509/issue-certificate.ts";
import { pckMember } from "./encode-pck-extension.ts";
import { parseQuote } from "./quote.ts";
import { PCK_CHAIN } from "./verify-sgx-evidence.ts";

const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
const lastYear = [new Date("2025-01-01T00:00:00Z"), new Date("2025-02-01T00:00:00Z")] as const;
const nextYear = [new Date("2027-01-01T00:00:00Z"), new Date("2027-02-01T00:00:00Z")] as const;

function verify(mint: IntelMint, change: Partial<VerificationContext> = {}): Claims {
  const { quote, context } = mintIntel(mint);
  return verifyEvidence({ kind: mint.tee ?? "sgx", bytes: quote }, { ...context, ...change });
}

const set = (members: JsonDocument) => (document: JsonDocument) => void Object.assign(document, members);
const levelsOf = (document: JsonDocument): JsonDocument[] => document["tcbLevels"] as JsonDocument[];
const tcbOf = (level: JsonDocument | undefined): JsonDocument => level?.["tcb"] as JsonDocument;

test("an SGX quote of versions 3, 4 and 5 gives the claims of its report", () => {
  for (const version of [3, 4, 5]) {
    const claims = verify({ version });
    assert.equal(claims.codeIdentity, "3e".repeat(32));
    assert.deepEqual(claims.signer, { mrSigner: "ec".repeat(32), isvProdId: 7, isvSvn: 3 });
    assert.equal(claims.platformId, `INTEL_QE_ID:${"0e".repeat(16)}`);
    assert.deepEqual([claims.debug, claims.tcb.status, claims.tcb.advisories], [false, "UpToDate", []]);
    assert.equal(Buffer.from(claims.userData).toString("hex"), "44".repeat(64));
  }
});

test("a TDX quote of versions 4 and 5 gives the claims of its report, its workload bound by MRCONFIGID", () => {
  for (const mint of [{ version: 4 }, { version: 5, bodyType: 2 }, { version: 5, bodyType: 3 }] as const) {
    const claims = verify({ tee: "tdx", ...mint });
    assert.equal(claims.details["mrTd"], "3d".repeat(48));
    const { details } = claims;
    const [svn, version, microcode] = Uint8Array.fromHex(String(details["teeTcbSvn"]));
    assert.deepEqual(
      [details["teeTcb.moduleSvn"], details["teeTcb.moduleVersion"], details["teeTcb.microcode"]],
      [svn, version, microcode],
    );
    assert.equal(claims.tcb.status, "UpToDate");
  }
  const workload = encodeWorkload({ imageDigest: `sha256:${"ab".repeat(32)}`, fileSystemTag: "cd".repeat(16) });
  const measured = hash("sha384", workload, "buffer");
  const evidenceOf = (configId: Uint8Array) => {
    const { quote, context } = mintIntel({ tee: "tdx", body: (body) => body.set(configId, 184) });
    return () => verifyEvidence({ kind: "tdx", bytes: quote, endorsements: new Map([["workload", workload]]) }, context);
  };
  assert.equal(evidenceOf(measured)().workload?.fileSystemTag, "cd".repeat(16));
  assert.throws(evidenceOf(measured.toReversed()), { code: "EVIDENCE_SIGNATURE", reason: "runtime-data-mismatch" });
});

const refusals: readonly { readonly rule: string; readonly mint: IntelMint; readonly reason: string; readonly now?: Date }[] = [
  { rule: "hazard A3: a QE report signed by an own key", mint: { qeReportKey: stranger }, reason: "bad-qe-signature" },
  {
    rule: "hazard A3, field/2026-01-qe-identity: an own enclave as quoting enclave",
    mint: { qeReport: (r) => r.fill(9, 128, 160) },
    reason: "qe-identity-mismatch",
  },
  { rule: "hazard A3: a QE of another product", mint: { qeReport: (r) => void r.writeUInt16LE(9, 256) }, reason: "qe-identity-mismatch" },
  { rule: "hazard A3: a QE in debug mode", mint: { qeReport: (r) => void r.writeUInt8(0x13, 48) }, reason: "qe-identity-mismatch" },
  { rule: "hazard A3: a QE with other MISCSELECT", mint: { qeReport: (r) => void r.writeUInt8(1, 16) }, reason: "qe-identity-mismatch" },
  { rule: "hazard A4: a QE older than every level", mint: { qeReport: (r) => void r.writeUInt16LE(5, 258) }, reason: "qe-tcb-unsupported" },
  {
    rule: "hazard A4: a revoked QE level",
    mint: { qeIdentity: (d) => void Object.assign(levelsOf(d)[0] ?? {}, { tcbStatus: "Revoked" }) },
    reason: "tcb-revoked",
  },
  {
    rule: "hazard A4: a revoked platform level",
    mint: { tcbInfo: (d) => void Object.assign(levelsOf(d)[0] ?? {}, { tcbStatus: "Revoked" }) },
    reason: "tcb-revoked",
  },
  { rule: "hazard A4: a platform older than every level", mint: { pceSvn: 11 }, reason: "tcb-unsupported" },
  {
    rule: "hazard A4: an unknown status",
    mint: { tcbInfo: (d) => void Object.assign(levelsOf(d)[0] ?? {}, { tcbStatus: "Fine" }) },
    reason: "parse-error",
  },
  {
    rule: "hazard A5: a short component list",
    mint: { tcbInfo: (d) => void (tcbOf(levelsOf(d)[1])["sgxtcbcomponents"] as unknown[]).pop() },
    reason: "parse-error",
  },
  {
    rule: "hazard A5: a negative SVN",
    mint: { tcbInfo: (d) => void Object.assign(tcbOf(levelsOf(d)[1]), { pcesvn: -1 }) },
    reason: "parse-error",
  },
  {
    rule: "hazard A5: a fractional SVN",
    mint: { tcbInfo: (d) => void Object.assign(tcbOf(levelsOf(d)[1]), { pcesvn: 1.5 }) },
    reason: "parse-error",
  },
  {
    rule: "hazard A24: an SVN as text",
    mint: { tcbInfo: (d) => void Object.assign(tcbOf(levelsOf(d)[1]), { pcesvn: "13" }) },
    reason: "parse-error",
  },
  { rule: "hazard A6: collateral that has ended", mint: {}, now: new Date("2026-07-01T00:00:01Z"), reason: "collateral-expired" },
  { rule: "hazard A6: collateral from the future", mint: {}, now: new Date("2026-05-31T23:59:59Z"), reason: "collateral-not-yet-valid" },
  {
    rule: "hazard A6: an old QE identity beside a fresh TCB info",
    mint: { qeIdentity: set({ nextUpdate: "2026-06-10T00:00:00Z" }) },
    reason: "collateral-expired",
  },
  {
    rule: "hazard A6: an old TCB info beside a fresh QE identity",
    mint: { tcbInfo: set({ nextUpdate: "2026-06-10T00:00:00Z" }) },
    reason: "collateral-expired",
  },
  { rule: "hazard A7: an expired PCK CRL", mint: { pckCrl: { validity: lastYear } }, reason: "crl-expired" },
  { rule: "hazard A7: a root CRL of the future", mint: { rootCrl: { validity: nextYear } }, reason: "crl-expired" },
  { rule: "hazard A7: a PCK CRL of another issuer", mint: { pckCrl: { issuer: "Intel SGX PCK Processor CA" } }, reason: "crl-mismatch" },
  { rule: "hazard A7: a PCK CRL signed by a stranger", mint: { pckCrl: { key: stranger } }, reason: "crl-bad-signature" },
  { rule: "hazard A7: a revoked PCK certificate", mint: { pckCrl: { revoked: [SERIALS.pck] } }, reason: "cert-revoked" },
  { rule: "hazard A7: a revoked PCK CA", mint: { rootCrl: { revoked: [SERIALS.pckCa] } }, reason: "cert-revoked" },
  { rule: "hazard A7: a revoked TCB signer", mint: { rootCrl: { revoked: [SERIALS.tcbSigning] } }, reason: "cert-revoked" },
  { rule: "hazard A8: an expired PCK certificate", mint: { pckValidity: lastYear }, reason: "cert-expired" },
  { rule: "hazard A8: an expired root", mint: { rootValidity: lastYear }, reason: "cert-expired" },
  { rule: "a TCB signer issued by the CA of platforms", mint: { isTcbSignedByPckCa: true }, reason: "collateral-bad-chain" },
  { rule: "a TCB signer that may issue certificates", mint: { isTcbSignerCa: true }, reason: "collateral-bad-chain" },
  { rule: "a TCB signer of another name", mint: { tcbSigningName: "Intel SGX PCK Certificate" }, reason: "collateral-bad-chain" },
  {
    rule: "an edited TCB info",
    mint: { editTcbInfo: (text) => text.replace("OutOfDate", "UpToDate") },
    reason: "collateral-bad-signature",
  },
  {
    rule: "hazard A16: a TCB info for the other TEE",
    mint: {
      tcbInfo: set({
        id: "TDX",
        tdxModule: { mrsigner: "00".repeat(48), attributes: "00".repeat(8), attributesMask: "00".repeat(8) },
        tdxModuleIdentities: [],
        tcbLevels: [],
      }),
    },
    reason: "collateral-mismatch",
  },
  { rule: "a TCB info for another platform family", mint: { tcbInfo: set({ fmspc: "00606A000000" }) }, reason: "collateral-mismatch" },
  { rule: "a TCB info for another PCE", mint: { tcbInfo: set({ pceId: "0001" }) }, reason: "collateral-mismatch" },
  { rule: "hazard A16: a QE identity of the other TEE", mint: { qeIdentity: set({ id: "TD_QE" }) }, reason: "collateral-mismatch" },
  { rule: "hazard A18: an unknown member in the TCB info", mint: { tcbInfo: set({ testPurpose: true }) }, reason: "parse-error" },
  {
    rule: "hazard A18: an unknown member in a TCB level",
    mint: { tcbInfo: (d) => void Object.assign(levelsOf(d)[0] ?? {}, { jku: "x" }) },
    reason: "parse-error",
  },
  { rule: "an unknown TCB type", mint: { tcbInfo: set({ tcbType: 1 }) }, reason: "parse-error" },
  { rule: "a TCB info of an unknown version", mint: { tcbInfo: set({ version: 4 }) }, reason: "unsupported-collateral-version" },
  { rule: "a PCK certificate of a CA that certifies no platforms", mint: { pckCaName: "Intel SGX Other CA" }, reason: "bad-chain" },
  { rule: "a PCK certificate without the SGX extension", mint: { pckMembers: () => [] }, reason: "bad-chain" },
  { rule: "a PCK certificate without FMSPC", mint: { pckMembers: (m) => m.toSpliced(3, 1) }, reason: "parse-error" },
  { rule: "a PCK certificate with two FMSPC", mint: { pckMembers: (m) => [...m, ...m.slice(3, 4)] }, reason: "parse-error" },
  {
    rule: "a PCK certificate with a short FMSPC",
    mint: { pckMembers: (m) => m.with(3, pckMember("4", Buffer.of(4, 1, 0))) },
    reason: "parse-error",
  },
  { rule: "hazard A5: an SVN beyond 65535 in a PCK certificate", mint: { pceSvn: 65_536 }, reason: "parse-error" },
  { rule: "a quote signed by another key", mint: { quoteKey: stranger }, reason: "bad-signature" },
  {
    rule: "hazard A8: an attestation key that is no point of the curve",
    mint: { attestationPoint: Buffer.alloc(64, 7) },
    reason: "bad-signature",
  },
  { rule: "QE authentication data that nobody bound", mint: { qeReport: (r) => r.fill(0, 320) }, reason: "qe-binding-mismatch" },
  {
    rule: "a QE report with something behind the binding",
    mint: { qeReport: (r) => void r.writeUInt8(1, 383) },
    reason: "qe-binding-mismatch",
  },
  { rule: "an unknown quote version", mint: { header: (h) => void h.writeUInt16LE(6, 0) }, reason: "unsupported-version" },
  { rule: "a quote version before 3", mint: { header: (h) => void h.writeUInt16LE(2, 0) }, reason: "unsupported-version" },
  { rule: "another quoting vendor", mint: { header: (h) => h.fill(1, 12, 28) }, reason: "unsupported-qe-vendor" },
  { rule: "an attestation key of another curve", mint: { header: (h) => void h.writeUInt16LE(3, 2) }, reason: "unsupported-algorithm" },
  { rule: "an unknown TEE", mint: { header: (h) => void h.writeUInt32LE(0x82, 4), version: 4 }, reason: "unsupported-tee" },
  {
    rule: "hazard A12: a TDX module of another signer",
    mint: { tee: "tdx", body: (b) => b.fill(1, 64, 112) },
    reason: "tdx-module-mismatch",
  },
  {
    rule: "hazard A12: a TDX module with other attributes",
    mint: { tee: "tdx", body: (b) => b.fill(1, 112, 113) },
    reason: "tdx-module-mismatch",
  },
  {
    rule: "hazard A12: a TDX module that Intel does not list",
    mint: { tee: "tdx", body: (b) => void b.writeUInt8(2, 1) },
    reason: "tdx-module-mismatch",
  },
  {
    rule: "hazard A12: a TDX module older than every level",
    mint: { tee: "tdx", body: (b) => void b.writeUInt8(2, 0) },
    reason: "tcb-unsupported",
  },
  {
    rule: "hazard A12: an empty list of TDX modules",
    mint: { tee: "tdx", tcbInfo: set({ tdxModuleIdentities: [] }) },
    reason: "tdx-module-mismatch",
  },
  { rule: "hazard A4: an empty list of levels", mint: { tcbInfo: set({ tcbLevels: [] }) }, reason: "tcb-unsupported" },
  {
    rule: "hazard A12: the first TDX module, signed by another",
    mint: { tee: "tdx", body: (b) => b.fill(0, 1, 2).fill(1, 64, 112) },
    reason: "tdx-module-mismatch",
  },
  {
    rule: "hazard A12: the first TDX module, older than every level",
    mint: { tee: "tdx", body: (b) => b.set([4, 0, 5]) },
    reason: "tcb-unsupported",
  },
  { rule: "a TDX platform with old microcode", mint: { tee: "tdx", body: (b) => void b.writeUInt8(3, 2) }, reason: "tcb-unsupported" },
];

for (const { rule, mint, reason, now } of refusals) {
  test(`refused: ${rule}`, () => {
    for (const cache of [undefined, new VerificationCache()]) {
      const context = { ...(now === undefined ? {} : { now }), ...(cache === undefined ? {} : { cache }) };
      assert.throws(() => verify(mint, context), { name: "EvidenceError", reason });
    }
  });
}

test("hazard A8: an anchor with the same name and another key is refused, an empty list trusts nobody", () => {
  const other = issuedRoot();
  assert.throws(() => verify({}, { trustAnchors: { sgx: [other] } }), { reason: "untrusted-root" });
  assert.throws(() => verify({}, { trustAnchors: {} }), { reason: "untrusted-root" });
});

test("hazard A21: a root that is trusted for simulated evidence alone makes no SGX evidence", () => {
  const { quote, context } = mintIntel();
  const trustAnchors = { simulated: context.trustAnchors.sgx ?? [] };
  assert.throws(() => verifyEvidence({ kind: "sgx", bytes: quote }, { ...context, trustAnchors }), { reason: "untrusted-root" });
});

test("hazard A7, C-41: missing documents are named, and no collateral at all is refused", () => {
  const { quote, context, collateral } = mintIntel();
  for (const member of ["tcbInfo", "qeIdentity", "tcbSigningChain", "pckCrl", "rootCaCrl"] as const) {
    const { [member]: _, ...rest } = collateral;
    const withRest = { ...context, collateral: { intel: () => rest } };
    assert.throws(() => verifyEvidence({ kind: "sgx", bytes: quote }, withRest), { reason: "collateral-missing" });
  }
  const without = { ...context, collateral: {} };
  assert.throws(() => verifyEvidence({ kind: "sgx", bytes: quote }, without), { reason: "collateral-missing", message: new RegExp(FMSPC) });
});

test("a TCB signing chain that does not link is told as that of the collateral", () => {
  const { quote, context, collateral } = mintIntel();
  const [signer = "", root = ""] = Buffer.from(collateral.tcbSigningChain ?? [])
    .toString("latin1")
    .split(/(?<=-----END CERTIFICATE-----\n)/);
  for (const chain of [root + signer, signer + signer + root, root]) {
    const broken = { ...context, collateral: { intel: () => ({ ...collateral, tcbSigningChain: Buffer.from(chain) }) } };
    assert.throws(() => verifyEvidence({ kind: "sgx", bytes: quote }, broken), { reason: "collateral-bad-chain" });
  }
});

test("hazard A12: what makes a TD less protected is told, whatever else the bits say nothing about", () => {
  const weaknessesWith = (edit: (body: Buffer) => void, bodyType: 2 | 3 = 2) =>
    verify({ tee: "tdx", version: 5, bodyType, body: edit }).weaknesses?.join();
  assert.equal(
    weaknessesWith(() => undefined),
    "",
  );
  assert.match(weaknessesWith((body) => body.fill(0, 123, 124)) ?? "", /^SEPT_VE_DISABLE is off/);
  assert.match(weaknessesWith((body) => body.fill(0x30, 123, 124)) ?? "", /^MIGRATABLE is on/);
  for (const [at, bit] of [
    [120, 0x10],
    [122, 0x01],
    [124, 0x01],
    [127, 0x40],
  ] as const) {
    assert.match(weaknessesWith((body) => void body.writeUInt8((body[at] ?? 0) | bit, at)) ?? "", /no known meaning/);
  }
  assert.equal(
    weaknessesWith((body) => body.fill(0xd8, 123, 124).fill(0x80, 127, 128)),
    "",
  );
  assert.match(weaknessesWith((body) => body.fill(1, 647, 648), 3) ?? "", /^a service TD is bound/);
  assert.equal(
    weaknessesWith(() => undefined, 3),
    "",
  );
  const isDisabled = (octet: number) => verify({ tee: "tdx", body: (body) => body.fill(octet, 123, 124) }).details["septVeDisabled"];
  assert.deepEqual([isDisabled(0x10), isDisabled(0x00)], [true, false]);
});

test("hazard A16: evidence of one kind given as another is refused", () => {
  const sgx = mintIntel();
  const tdx = mintIntel({ tee: "tdx" });
  const both = { ...sgx.context, trustAnchors: { sgx: [sgx.root, tdx.root], tdx: [sgx.root, tdx.root] } };
  assert.throws(() => verifyEvidence({ kind: "tdx", bytes: sgx.quote }, both), { reason: "unsupported-tee" });
  assert.throws(() => verifyEvidence({ kind: "sgx", bytes: tdx.quote }, both), { reason: "unsupported-tee" });
});

test("hazard A2, A17: bytes behind the quote and more bytes than a quote can have are refused", () => {
  const { quote } = mintIntel();
  assert.throws(() => parseQuote(Buffer.concat([quote, Buffer.of(0, 1)])), { reason: "trailing-data" });
  assert.throws(() => parseQuote(Buffer.concat([quote, Buffer.alloc(256 * 1024)])), { reason: "parse-error", message: /at most 262144/ });
});

test("a TDX module without a version of its own is covered by the platform's levels", () => {
  assert.equal(verify({ tee: "tdx", body: (body) => body.set([5, 0, 5]) }).tcb.status, "UpToDate");
  assert.deepEqual(verify({ tee: "tdx", body: (body) => body.set([5, 0, 4]), pceSvn: 12 }).tcb, {
    status: "OutOfDate",
    advisories: ["INTEL-SA-00615"],
    date: new Date("2024-03-01T00:00:00Z"),
    shortfalls: [
      { component: "PCE", found: 12, needed: 13 },
      { component: "TDX component 3", found: 4, needed: 5 },
    ],
  });
});

test("a TD that outlived a module update is told that a relaunch would bring it up to date", () => {
  const launched = (svn: number, now: number) => (body: Buffer) => {
    body.writeUInt8(svn, 0);
    Buffer.from([now, 1, 5]).copy(body, 584);
  };
  const claims = (svn: number, now: number) => verify({ tee: "tdx", version: 5, bodyType: 3, body: launched(svn, now) });
  const status = ({ tcb, details }: Claims) => [tcb.status, details["relaunchAdvised"]];
  assert.deepEqual(status(claims(3, 5)), ["OutOfDate", true]);
  assert.deepEqual(status(claims(3, 3)), ["OutOfDate", false]);
  assert.deepEqual(status(claims(5, 5)), ["UpToDate", false]);
  assert.equal(verify({ tee: "tdx" }).details["relaunchAdvised"], undefined);
});

test("a report of TDX 1.5 in its extended form says which guest it is; service TDs bound now count as those at launch", () => {
  const extended = (at: number, bytes: Uint8Array) => (body: Buffer) => body.set(bytes, at);
  const mint = (body: (body: Buffer) => void) => verify({ tee: "tdx", version: 5, bodyType: 4, body });
  const { details, weaknesses, tcb } = mint(extended(648, Uint8Array.from([2, ...new Uint8Array(32).fill(0xa7)])));
  assert.deepEqual([details["vmId"], details["tdId"], details["currentServiceTdHash"]], [2, "a7".repeat(32), "00".repeat(48)]);
  assert.deepEqual([tcb.status, weaknesses, details["relaunchAdvised"]], ["UpToDate", [], false]);
  for (const at of [600, 729, 829, 876])
    assert.match(mint(extended(at, Uint8Array.of(1))).weaknesses?.join() ?? "", /a service TD is bound/);
  assert.match(mint((body) => body.set([0x02], 122)).weaknesses?.join() ?? "", /SERVTD_EXT is on/);
  const other = mintIntel({ tee: "tdx", version: 5, bodyType: 4 }).quote;
  new DataView(other.buffer, other.byteOffset).setUint32(50, 884, true);
  assert.throws(() => parseQuote(other), { reason: "parse-error", message: /body of 884 bytes, type 4 has 885/ });
});

test("hazard A12: the module that runs now must be known to Intel too, not only the one at launch", () => {
  const now = (svn: number, version: number, tcbInfo: (document: JsonDocument) => void = () => undefined) =>
    verify({ tee: "tdx", version: 5, bodyType: 3, body: (body) => Buffer.from([svn, version, 5]).copy(body, 584), tcbInfo });
  const revoked = (document: JsonDocument) => {
    const [module] = document["tdxModuleIdentities"] as JsonDocument[];
    Object.assign(levelsOf(module ?? {})[1] ?? {}, { tcbStatus: "Revoked" });
  };
  assert.throws(() => now(2, 1), { reason: "tcb-unsupported" });
  assert.throws(() => now(5, 9), { reason: "tdx-module-mismatch" });
  assert.throws(() => now(4, 1, revoked), { reason: "tcb-revoked" });
  assert.equal(now(6, 1, revoked).tcb.status, "UpToDate");
});

test("hazard A4: words that Intel does not say of a quoting enclave or a module are not understood", () => {
  const say = (status: string) => (document: JsonDocument) => void Object.assign(levelsOf(document)[0] ?? {}, { tcbStatus: status });
  const inModule = (status: string) => (document: JsonDocument) => (document["tdxModuleIdentities"] as JsonDocument[]).forEach(say(status));
  assert.throws(() => verify({ qeIdentity: say("SWHardeningNeeded") }), { reason: "parse-error" });
  assert.equal(verify({ qeIdentity: say("ConfigurationNeeded") }).tcb.status, "ConfigurationNeeded");
  assert.throws(() => verify({ tee: "tdx", tcbInfo: inModule("ConfigurationNeeded") }), { reason: "parse-error" });
  assert.equal(verify({ tee: "tdx", tcbInfo: inModule("OutOfDate") }).tcb.status, "OutOfDate");
});

test("hazard A9: debug attributes are claims that a policy sees", () => {
  assert.equal(verify({ body: (body) => void body.writeUInt8(0x07, 48) }).debug, true);
  assert.equal(verify({ tee: "tdx", body: (body) => void body.writeUInt8(1, 120) }).debug, true);
});

test("hazard A5: the order of TCB levels does not matter", () => {
  const reversed = (document: JsonDocument) => void levelsOf(document).reverse();
  assert.deepEqual(verify({ tcbInfo: reversed, qeIdentity: reversed }).tcb, verify({}).tcb);
});

test("hazard A6, C-49: documents that are too old or of an earlier evaluation than one already seen are refused", () => {
  assert.throws(() => verify({}, { intelFreshness: { maxAgeDays: 10 } }), { code: "EVIDENCE_STALE", reason: "collateral-expired" });
  assert.throws(() => verify({}, { intelFreshness: { minEvaluationNumber: 21 } }), {
    code: "EVIDENCE_STALE",
    reason: "collateral-expired",
  });
  assert.equal(verify({}, { intelFreshness: { maxAgeDays: 30, minEvaluationNumber: 20 } }).tcb.status, "UpToDate");
});

test("hazard A6, B9: what was cached while valid is refused once its time is over", () => {
  const cache = new VerificationCache();
  const { quote, context } = mintIntel();
  const at = (now: Date) => verifyEvidence({ kind: "sgx", bytes: quote }, { ...context, now, cache });
  assert.equal(at(mintedNow).tcb.status, "UpToDate");
  const entries = cache.size;
  assert.equal(at(mintedNow).tcb.status, "UpToDate");
  assert.equal(cache.size, entries);
  assert.throws(() => at(new Date("2026-07-02T00:00:00Z")), { reason: "collateral-expired" });
  assert.throws(() => at(new Date("2031-01-01T00:00:00Z")), { reason: "cert-expired" });
  assert.throws(() => at(new Date("2025-01-01T00:00:00Z")), { reason: "cert-not-yet-valid" });
});

test("hazard B9: a cached PCK chain is refused after its own end, while everything else still holds", () => {
  const cache = new VerificationCache();
  const { quote, context } = mintIntel({ pckValidity: [new Date("2026-01-01T00:00:00Z"), new Date("2026-06-20T00:00:00Z")] });
  const at = (now: Date) => verifyEvidence({ kind: "sgx", bytes: quote }, { ...context, now, cache });
  assert.equal(at(mintedNow).tcb.status, "UpToDate");
  assert.throws(() => at(new Date("2026-06-25T00:00:00Z")), { code: "EVIDENCE_STALE", reason: "cert-expired" });
});

test("hazard B9: cached documents are refused once the certificate of their signer is over", () => {
  const cache = new VerificationCache();
  const { quote, context } = mintIntel({ tcbSigningValidity: [new Date("2026-01-01T00:00:00Z"), new Date("2026-06-20T00:00:00Z")] });
  const at = (now: Date) => verifyEvidence({ kind: "sgx", bytes: quote }, { ...context, now, cache });
  assert.equal(at(mintedNow).tcb.status, "UpToDate");
  assert.throws(() => at(new Date("2026-06-25T00:00:00Z")), { code: "EVIDENCE_STALE", reason: "cert-expired" });
});

test("hazard A8: a CA of platforms given as trust anchor is no root: nobody says what of it is revoked", () => {
  const { quote, context, root } = mintIntel();
  const { data } = parseQuote(quote).certificationData;
  const [pck, pckCa] = parsePemCertificates(data);
  assert.ok(pck !== undefined && pckCa !== undefined);
  const evidence = { kind: "sgx", bytes: quote, endorsements: new Map([[PCK_CHAIN, Buffer.from(certificatePem(pck.der))]]) } as const;
  assert.throws(() => verifyEvidence(evidence, { ...context, trustAnchors: { sgx: [pckCa.der, root] } }), { reason: "bad-chain" });
});

test("what is given up on purpose shows in the claims", () => {
  const { quote, context } = mintIntel({ pckCrl: { revoked: [SERIALS.pck] } });
  const evidence = { kind: "sgx", bytes: quote } as const;
  const chainOnly = verifyEvidence(evidence, { ...context, collateral: {}, insecure: "signature-chain-only" });
  assert.deepEqual(chainOnly.tcb, { status: "Unknown", advisories: [] });
  const td = mintIntel({ tee: "tdx" });
  const tdOnly = verifyEvidence({ kind: "tdx", bytes: td.quote }, { ...td.context, collateral: {}, insecure: "signature-chain-only" });
  assert.deepEqual(tdOnly.tcb, { status: "Unknown", advisories: [] });
  assert.equal(verifyEvidence(evidence, { ...context, insecure: "no-revocation-check" }).tcb.status, "UpToDate");
  assert.throws(() => verifyEvidence(evidence, { ...context, collateral: {}, insecure: "no-revocation-check" }), {
    reason: "collateral-missing",
  });
});

function issuedRoot(): Uint8Array {
  const now = mintedNow.getTime();
  const validity = { notBefore: new Date(now - 1000), notAfter: new Date(now + 1000) };
  const names = { subject: "Intel SGX Root CA", issuer: "Intel SGX Root CA" };
  return issueCertificate({ ...names, ...validity, publicKey: createPublicKey(stranger), issuerKey: stranger, serial: 1n, isCa: true });
}
