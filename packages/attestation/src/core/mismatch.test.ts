import assert from "node:assert/strict";
import { test } from "node:test";
import { verifySnpReport } from "../snp/verify-snp-report.ts";
import { type IntelMint, mintedNow, mintIntel, SERIALS } from "../testing/mint-intel.ts";
import { mintedAt, mintSnp } from "../testing/mint-snp.ts";
import { EvidenceError } from "./errors.ts";
import type { VerificationContext } from "./trust.ts";
import { verifyEvidence } from "./verify.ts";

function refusalOf(run: () => unknown): EvidenceError {
  try {
    run();
  } catch (error) {
    if (error instanceof EvidenceError) return error;
    throw error;
  }
  return assert.fail("nothing was refused");
}

function intel(mint: IntelMint, change: Partial<VerificationContext> = {}): EvidenceError {
  const { quote, context } = mintIntel(mint);
  return refusalOf(() => verifyEvidence({ kind: mint.tee ?? "sgx", bytes: quote }, { ...context, ...change }));
}

const june = [new Date("2026-06-01T00:00:00Z"), new Date("2026-06-10T00:00:00Z")] as const;
const CASES: readonly (readonly [EvidenceError, field: RegExp, expected: RegExp, found: RegExp])[] = [
  [intel({ header: (header) => void header.writeUInt16LE(6, 0) }), /^version$/, /^3 to 5$/, /^6$/],
  [intel({ header: (header) => void header.writeUInt16LE(3, 2) }), /^attestation key type$/, /ECDSA P-256/, /^3$/],
  [intel({ header: (header) => void header.writeUInt32LE(0x81, 4) }), /^TEE type$/, /0x0 \(SGX\)/, /^0x81$/],
  [intel({ qeReport: (report) => report.fill(9, 128, 160) }), /^MRSIGNER of the QE report$/, /^(8c){32}$/, /^(09){32}$/],
  [intel({ qeReport: (report) => void report.writeUInt16LE(3, 258) }), /^ISVSVN of the QE report$/, /^at least 6$/, /^3$/],
  [intel({ qeReport: (report) => report.fill(7, 320, 352) }), /^REPORTDATA of the QE report$/, /then zeros$/, /^(07){32}0+$/],
  [intel({ tcbInfo: (info) => void Object.assign(info, { fmspc: "00606A000000" }) }), /^TCB Info$/, /^00906ed50000$/, /00606a000000/],
  [intel({}, { now: new Date("2026-08-01T00:00:00Z") }), /^TCB Info nextUpdate$/, /not before 2026-08-01/, /^2026-07-01/],
  [intel({}, { intelFreshness: { minEvaluationNumber: 21 } }), /^TCB Info tcbEvaluationDataNumber$/, /^at least 21$/, /^20$/],
  [intel({ pckCrl: { validity: june } }), /^nextUpdate of the CRL$/, /not before 2026-06-15/, /^2026-06-10/],
  [intel({ pckCrl: { revoked: [SERIALS.pck] } }), /^serial number$/, /not on the CRL of .*PCK Platform CA/, /^0?3$/],
  [intel({ pckValidity: june }), /^notAfter of the certificate of .*PCK Certificate/, /not before 2026-06-15/, /^2026-06-10/],
  [intel({ tee: "tdx", body: (body) => body.set([9], 1) }), /^TEE_TCB_SVN\[1\]$/, /^TDX_01$/, /^TDX_09$/],
  [intel({ tee: "tdx", body: (body) => body.set([1], 64) }), /^MRSIGNERSEAM$/, /^0+$/, /^010+$/],
  [snp({ report: { tcb: 0x7308000000000000n } }), /^bootLoader of REPORTED_TCB$/, /^3$/, /^0$/],
  [snp({ report: { chipId: new Uint8Array(64) } }), /^CHIP_ID$/, /^(c5){64}$/, /^0+$/],
];

function snp(mint: Parameters<typeof mintSnp>[0]): EvidenceError {
  return refusalOf(() => verifySnpReport({ ...mintSnp(mint), now: mintedAt }));
}

test("a refusal after a comparison has field, expected and found apart from its sentence", () => {
  for (const [error, field, expected, found] of CASES) {
    assert.match(error.field ?? "", field, error.message);
    assert.match(error.expected ?? "", expected, error.message);
    assert.match(error.found ?? "", found, error.message);
    assert.notEqual(error.remedy, undefined, error.message);
  }
  assert.equal(new Set(CASES.map(([error]) => error.message)).size, CASES.length);
});

test("a signature that does not hold compares nothing: there is no field to name", () => {
  const { quote, context } = mintIntel();
  const changed = Uint8Array.from(quote);
  changed[48] = 1;
  const error = refusalOf(() => verifyEvidence({ kind: "sgx", bytes: changed }, { ...context, now: mintedNow }));
  assert.deepEqual([error.reason, error.field, error.expected, error.found], ["bad-signature", undefined, undefined, undefined]);
});
