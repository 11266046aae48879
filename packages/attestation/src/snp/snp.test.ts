import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { VerificationCache } from "../collateral/verification-cache.ts";
import { appraise, type ReferenceValues } from "../core/appraise.ts";
import { EvidenceError } from "../core/errors.ts";
import { verifyEvidence } from "../core/verify.ts";
import { encodeWorkload } from "../core/workload.ts";
import { chipId, mintedAt, mintSnp, type SnpMint } from "../testing/mint-snp.ts";
import { parseSnpReport, snpProduct, snpSigningKey, splitSnpPolicy, splitSnpTcb } from "./snp-report.ts";
import { type SnpReportInput, verifySnpReport } from "./verify-snp-report.ts";

const refusedFor = (reason: string) => (error: unknown) => error instanceof EvidenceError && error.reason === reason;
const turin = {
  certificate: {
    product: "Turin" as const,
    tcb: { fmc: 1, bootLoader: 2, tee: 3, snp: 4, microcode: 81 },
    hardwareId: chipId.subarray(0, 8),
  },
};
const turinChip = Uint8Array.from([...chipId.subarray(0, 8), ...new Uint8Array(56)]);
const turinReport = { version: 5, family: 0x1a, model: 0x02, tcb: 0x5100000004030201n, chipId: turinChip };

test("a report of each version and product line verifies under its own key, chip and security versions", () => {
  for (const version of [2, 3, 4, 5]) assert.equal(verifySnpReport(mintSnp({ report: { version } })).report.version, version);
  assert.deepEqual(verifySnpReport(mintSnp({ ...turin, report: turinReport })).reportedTcb, turin.certificate.tcb);
  const genoa = { certificate: { product: "Genoa" as const }, report: { family: 0x19, model: 0x11 } };
  assert.equal(verifySnpReport(mintSnp(genoa)).endorsementKey.product, "Genoa");
});

test("a VLEK vouches for a report whose chip id is masked", () => {
  const vlek: SnpMint = {
    certificate: { kind: "VLEK" },
    withoutHardwareId: true,
    report: { signerInfo: 1 << 2, chipId: new Uint8Array(64) },
  };
  assert.equal(verifySnpReport(mintSnp(vlek)).endorsementKey.kind, "VLEK");
});

const refused: readonly { readonly rule: string; readonly mint: SnpMint; readonly reason: string }[] = [
  { rule: "hazard A10: signed by another key", mint: { reportKey: "stranger" }, reason: "bad-signature" },
  { rule: "hazard A10: VCEK of another chip", mint: { report: { chipId: new Uint8Array(64).fill(1) } }, reason: "chip-id-mismatch" },
  { rule: "hazard A10: chip id masked, though a VCEK signs", mint: { report: { chipId: new Uint8Array(64) } }, reason: "chip-id-mismatch" },
  { rule: "hazard A10: another product line", mint: { report: { family: 0x1a, model: 2 } }, reason: "bad-chain" },
  { rule: "hazard A10: an unknown processor", mint: { report: { family: 0x19, model: 0x50 } }, reason: "bad-chain" },
  { rule: "hazard A10: report version 1", mint: { report: { version: 1 } }, reason: "unsupported-version" },
  { rule: "hazard A10: report version 6", mint: { report: { version: 6 } }, reason: "unsupported-version" },
  { rule: "hazard A11: boot loader is older than certified", mint: { report: { tcb: 0x7308000000000002n } }, reason: "tcb-mismatch" },
  { rule: "hazard A11: microcode is newer than certified", mint: { report: { tcb: 0x7408000000000003n } }, reason: "tcb-mismatch" },
  {
    rule: "hazard A11: FMC of a Turin differs",
    mint: { ...turin, report: { ...turinReport, tcb: 0x5100000004030202n } },
    reason: "tcb-mismatch",
  },
  {
    rule: "hazard A11: a VLEK where the report names a VCEK",
    mint: { certificate: { kind: "VLEK" }, withoutHardwareId: true },
    reason: "bad-chain",
  },
  { rule: "hazard A11: a VCEK where the report names a VLEK", mint: { report: { signerInfo: 1 << 2 } }, reason: "bad-chain" },
  { rule: "hazard A11: a report that nobody signed", mint: { report: { signerInfo: 7 << 2 } }, reason: "bad-chain" },
  { rule: "hazard A8: signer under another root of the same name", mint: { rootKey: "stranger" }, reason: "untrusted-root" },
  { rule: "hazard A8: signer is no CA", mint: { signerIsCa: false }, reason: "bad-chain" },
  { rule: "hazard A7: the signer is revoked", mint: { revoked: ["signer"] }, reason: "cert-revoked" },
  { rule: "hazard A7: the CRL is of another issuer", mint: { revoked: [], listIssuer: "ARK-Other" }, reason: "crl-mismatch" },
  { rule: "hazard A7: the CRL is signed by another key", mint: { revoked: [], listKey: "stranger" }, reason: "crl-bad-signature" },
  {
    rule: "C-49: the endorsement key has expired",
    mint: { certificate: { notAfter: new Date("2026-05-01T00:00:00Z") } },
    reason: "cert-expired",
  },
  {
    rule: "C-49: the endorsement key is not yet valid",
    mint: { certificate: { notBefore: new Date("2026-07-01T00:00:00Z") } },
    reason: "cert-not-yet-valid",
  },
];
for (const { rule, mint, reason } of refused) {
  test(`${rule} → ${reason}`, () => {
    assert.throws(() => verifySnpReport(mintSnp(mint)), refusedFor(reason));
  });
}

test("hazard A7: an expired CRL is refused, a current one that names others is not", () => {
  verifySnpReport(mintSnp({ revoked: ["stranger"] }));
  const input = mintSnp({ revoked: ["stranger"] });
  assert.throws(() => verifySnpReport({ ...input, now: new Date("2026-08-01T00:00:00Z") }), refusedFor("crl-expired"));
});

test("a cache keeps chains and lists, never dates or revocation", () => {
  const cache = new VerificationCache();
  const input = { ...mintSnp({ revoked: ["stranger"] }), cache };
  verifySnpReport(input);
  const size = cache.size;
  verifySnpReport(input);
  assert.equal(cache.size, size);
  assert.throws(() => verifySnpReport({ ...input, now: new Date("2026-08-01T00:00:00Z") }), refusedFor("crl-expired"));
  assert.throws(() => verifySnpReport({ ...input, now: new Date("2028-08-01T00:00:00Z") }), refusedFor("cert-expired"));
  assert.throws(() => verifySnpReport({ ...input, ...mintSnp({ revoked: ["signer"] }), cache }), refusedFor("cert-revoked"));
  const forged = { ...input, ...mintSnp({ reportKey: "stranger" }), cache };
  assert.throws(() => verifySnpReport(forged), refusedFor("bad-signature"));
});

test("hazard A8: a signer given as its own anchor is no root", () => {
  const input = mintSnp();
  assert.throws(() => verifySnpReport({ ...input, anchors: [input.signer] }), refusedFor("untrusted-root"));
});

test("without an anchor nobody is trusted", () => {
  assert.throws(() => verifySnpReport({ ...mintSnp(), anchors: [] }), EvidenceError);
});

test("hazard A1: no bit of a report may change", () => {
  const input = mintSnp();
  for (let at = 0; at < input.report.length; at++) {
    const report = Uint8Array.from(input.report);
    report[at] = (report[at] ?? 0) ^ (1 << (at % 8));
    assert.throws(() => verifySnpReport({ ...input, report }), EvidenceError, `byte ${at}`);
  }
});

test("hazard A2: shorter is cut off, longer has trailing data", () => {
  const { report } = mintSnp();
  for (let length = 0; length < report.length; length += 7)
    assert.throws(() => parseSnpReport(report.subarray(0, length)), refusedFor("parse-error"));
  assert.throws(() => parseSnpReport(Uint8Array.of(...report, 0)), refusedFor("trailing-data"));
});

test("security versions lie elsewhere in a Turin", () => {
  assert.deepEqual(splitSnpTcb(0x5100000004030201n, "Turin"), { fmc: 1, bootLoader: 2, tee: 3, snp: 4, microcode: 0x51 });
  assert.deepEqual(splitSnpTcb(0xdb18000000000004n, "Milan"), { bootLoader: 4, tee: 0, snp: 0x18, microcode: 0xdb });
});

test("the processor signature names the product line", () => {
  const products = [0xa00f11, 0xa10f11, 0xaa0f02, 0xb00f21, 0x800f12, undefined].map((cpuid1Eax) => snpProduct({ cpuid1Eax }));
  assert.deepEqual(products, ["Milan", "Genoa", "Genoa", "Turin", undefined, undefined]);
});

test("hazard A10: a processor between or behind those of a product line is of none", () => {
  const product = (family: number, model: number) =>
    snpProduct({ cpuid1Eax: ((family - 0xf) << 20) | ((model >> 4) << 16) | 0xf00 | ((model & 0xf) << 4) });
  const lines = [
    ...[0x00, 0x0f].map((model) => [0x19, model, "Milan"] as const),
    ...[0x10, 0x1f, 0xa0, 0xaf].map((model) => [0x19, model, "Genoa"] as const),
    ...[0x00, 0x1f].map((model) => [0x1a, model, "Turin"] as const),
    ...[0x20, 0x9f, 0xb0].map((model) => [0x19, model, undefined] as const),
    ...[0x20, 0xa0].map((model) => [0x1a, model, undefined] as const),
    ...[0x01, 0x11, 0xa1].flatMap((model) => [0x18, 0x1b].map((family) => [family, model, undefined] as const)),
  ];
  for (const [family, model, expected] of lines)
    assert.equal(product(family, model), expected, `${family.toString(16)} ${model.toString(16)}`);
});

test("SIGNER_INFO names the key, or says that there is none", () => {
  assert.deepEqual(
    [0, 1, 2, 6, 7].map((value) => snpSigningKey({ signerInfo: (value << 2) | 0b11 })),
    ["VCEK", "VLEK", "unknown", "unknown", "none"],
  );
});

test("hazard A2: a signature of another algorithm is not read as one of ECDSA P-384", () => {
  const { report } = mintSnp();
  assert.throws(() => parseSnpReport(Uint8Array.from(report).fill(2, 0x34, 0x35)), refusedFor("unsupported-algorithm"));
});

test("fields come out as they went in; those of later versions are of no other", () => {
  const bytes = (length: number, value: number) => new Uint8Array(length).fill(value);
  const fields = {
    ...{ version: 5, guestSvn: 0x01020304, policy: 0x3001fn, vmpl: 3, platformInfo: 0x25n, signerInfo: 1 << 2 },
    ...{ reportData: bytes(64, 1), measurement: bytes(48, 2), hostData: bytes(32, 3), reportId: bytes(32, 4), chipId: bytes(64, 5) },
  };
  const { report } = mintSnp({ report: { ...fields, tcb: 0x7308000000000003n, family: 0x1a, model: 0x11 } });
  report.set([7, 0, 0, 0, 0, 0, 0, 0, 9], 0x1f8);
  const parsed = parseSnpReport(Uint8Array.from(report));
  for (const [name, value] of Object.entries(fields)) assert.deepEqual(Reflect.get(parsed, name), value, name);
  for (const name of ["currentTcb", "reportedTcb", "committedTcb", "launchTcb"] as const) assert.equal(parsed[name], 0x7308000000000003n);
  assert.deepEqual([parsed.launchMitigations, parsed.currentMitigations], [7n, 9n]);
  assert.equal(snpProduct(parsed), "Turin");
  const older = parseSnpReport(report.fill(2, 0, 1));
  assert.deepEqual([older.cpuid1Eax, older.launchMitigations, older.currentMitigations], [undefined, undefined, undefined]);
});

const evidence = (
  { report, endorsementKey, signer, revocationList }: SnpReportInput,
  added: readonly (readonly [string, Uint8Array])[] = [],
) =>
  ({
    ...{ kind: "snp" as const, bytes: report },
    endorsements: new Map([
      ["endorsement-key", endorsementKey.der],
      ["signer", signer.der],
      ...(revocationList === undefined ? [] : [["amd-crl", revocationList.der] as const]),
      ...added,
    ]),
  }) as const;
const trusting = ({ anchors }: SnpReportInput) => ({ now: mintedAt, trustAnchors: { snp: anchors.map(({ der }) => der) }, collateral: {} });

test("kind snp: host data binds the workload, lists and chains are kept, and the Relying Party's own list comes first", () => {
  const workload = { imageDigest: `sha256:${"cd".repeat(32)}`, fileSystemTag: "00ff" };
  const descriptor = encodeWorkload(workload);
  const measured = mintSnp({ report: { hostData: hash("sha256", descriptor, "buffer") }, revoked: ["stranger"] });
  const context = trusting(measured);
  const cache = new VerificationCache();
  const claims = verifyEvidence(evidence(measured, [["workload", descriptor]]), { ...context, cache });
  assert.deepEqual(claims.workload, workload);
  assert.equal(cache.size, 6, "three certificates, their chain, the list as parsed and as verified");
  const plain = verifyEvidence(evidence(mintSnp()), context);
  assert.equal("workload" in plain, false);
  assert.equal(plain.platformId, `SNP_CHIP_ID:${chipId.toHex()}`);
  const vlek = mintSnp({
    certificate: { kind: "VLEK" },
    withoutHardwareId: true,
    report: { signerInfo: 1 << 2, chipId: new Uint8Array(64) },
  });
  assert.equal(verifyEvidence(evidence(vlek), context).platformId, "SNP_VLEK");
  assert.notEqual(claims.codeIdentity, plain.codeIdentity);
  assert.throws(() => verifyEvidence(evidence(mintSnp(), [["workload", descriptor]]), context), refusedFor("runtime-data-mismatch"));
  const revoking = mintSnp({ revoked: ["signer"] });
  assert.throws(() => verifyEvidence(evidence(revoking), context), refusedFor("cert-revoked"));
  const documents = new Map([["amd-crl", revoking.revocationList?.der ?? assert.fail()]]);
  assert.throws(() => verifyEvidence(evidence(measured), { ...context, collateral: { documents } }), refusedFor("cert-revoked"));
});

test("guest policy bits have their names", () => {
  const policy = splitSnpPolicy(0xb001fn);
  assert.deepEqual([policy.abiMinor, policy.smtAllowed, policy.debugAllowed, policy.migrationAgentAllowed], [0x1f, true, true, false]);
});

test("hazard A10: a guest that a migration agent may move is told as a weakness, and appraisal refuses it", () => {
  const minted = mintSnp({ report: { policy: 0x70000n } });
  const claims = verifyEvidence(evidence(minted), trusting(minted));
  assert.match(claims.weaknesses?.join() ?? "", /^MIGRATE_MA is on/);
  const references = { kinds: ["snp"], userData: "any", codeIdentities: "any" } as const;
  const failed = (given: ReferenceValues) =>
    appraise(claims, given)
      .checks.filter(({ outcome }) => outcome === "failed")
      .map(({ name }) => name);
  assert.deepEqual(failed(references), ["configuration"]);
  assert.deepEqual(failed({ ...references, toleratedTcbStatuses: ["ConfigurationNeeded"] }), []);
  const plain = mintSnp();
  assert.deepEqual(verifyEvidence(evidence(plain), trusting(plain)).weaknesses, []);
});

test("hazard A10: VMPL, ABI, SMT, guest SVN, keys of the identity block, platform and all four TCB versions are facts to compare", () => {
  const tcb = 0x7308000000000003n;
  const minted = mintSnp({
    report: { policy: 0x2030501n, vmpl: 1, guestSvn: 7, platformInfo: 0x25n, tcb, currentTcb: tcb + 1n },
  });
  const { details } = verifyEvidence(evidence(minted), trusting(minted));
  const facts = {
    vmpl: 1,
    guestSvn: 7,
    "policy.abiMajor": 5,
    "policy.abiMinor": 1,
    "policy.smtAllowed": true,
    "policy.pageSwapDisabled": true,
    "platformInfo.smtEnabled": true,
    "platformInfo.tsmeEnabled": false,
    "platformInfo.eccEnabled": true,
    "platformInfo.aliasCheckComplete": true,
    "platformInfo.ciphertextHidingEnabled": false,
    "reportedTcb.bootLoader": 3,
    "committedTcb.microcode": 0x73,
    "launchTcb.snp": 8,
    "currentTcb.bootLoader": 4,
    idKeyDigest: "00".repeat(48),
    authorKeyDigest: "00".repeat(48),
  };
  for (const [name, value] of Object.entries(facts)) assert.equal(details[name], value, name);
});

test("parseSnpReport accepts or says EVIDENCE_MALFORMED, whatever the input", () => {
  const valid = mintSnp().report;
  const nearlyValid = fc.tuple(fc.nat(valid.length - 1), fc.nat(255)).map(([at, value]) => Uint8Array.from(valid).fill(value, at, at + 1));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 1300 }), nearlyValid), (bytes) => {
      try {
        parseSnpReport(bytes);
      } catch (error) {
        assert(error instanceof EvidenceError && error.code === "EVIDENCE_MALFORMED", String(error));
      }
    }),
  );
});
