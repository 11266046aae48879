import assert from "node:assert/strict";
import { generateKeyPairSync, hash, type KeyObject } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { EvidenceError } from "../core/errors.ts";
import { mintSnp } from "../testing/mint-snp.ts";
import { mintTpmQuote } from "../testing/mint-tpm.ts";
import { parseHclReport, readRuntimeData } from "./hcl-report.ts";
import { type AzureVtpmInput, verifyAzureSnpVtpm, verifyAzureTdxVtpm } from "./verify-azure-vtpm.ts";

const rsa = () => generateKeyPairSync("rsa", { modulusLength: 2048 });
const [vtpm, stranger] = [rsa(), rsa()];
const nonce = new Uint8Array(32).fill(5);
const pcrs = new Map([
  [0, new Uint8Array(32).fill(1)],
  [7, new Uint8Array(32).fill(2)],
]);
const refusedFor = (reason: string) => (error: unknown) => error instanceof EvidenceError && error.reason === reason;

interface HclMint {
  readonly runtimeData?: string;
  /** What the hardware report covers, when it is not the runtime data. */
  readonly reportData?: Uint8Array;
  readonly reportType?: number;
  readonly hashType?: number;
  readonly claimedBytes?: number;
  readonly runtimeVersion?: number;
  readonly claimedSize?: number;
  readonly padding?: Uint8Array;
}
const runtimeDataOf = (key: KeyObject): string => {
  const { n, e } = key.export({ format: "jwk" });
  return JSON.stringify({ keys: [{ kid: "HCLAkPub", key_ops: ["sign"], kty: "RSA", e, n }], "user-data": "AB".repeat(64) });
};

/** An HCL report whose hardware report is minted, and the way to verify that. */
function mintHcl(mint: HclMint = {}) {
  const data = Buffer.from(mint.runtimeData ?? runtimeDataOf(vtpm.publicKey));
  const reportData = mint.reportData ?? Buffer.concat([hash("sha256", data, "buffer"), new Uint8Array(32)]);
  const { report, ...snp } = mintSnp({ report: { reportData } });
  const hcl = Buffer.alloc(0x4d4);
  hcl.write("HCLA", 0, "latin1");
  hcl.writeUInt32LE(1, 4);
  hcl.set(report, 0x20);
  hcl.writeUInt32LE(mint.claimedSize ?? (mint.claimedBytes ?? data.length) + 20, 0x4c0);
  hcl.writeUInt32LE(mint.runtimeVersion ?? 1, 0x4c4);
  hcl.writeUInt32LE(mint.reportType ?? 2, 0x4c8);
  hcl.writeUInt32LE(mint.hashType ?? 1, 0x4cc);
  hcl.writeUInt32LE(mint.claimedBytes ?? data.length, 0x4d0);
  return { hclReport: Buffer.concat([hcl, data, mint.padding ?? new Uint8Array(100)]), snp, reportData };
}

function inputOf(hclReport: Uint8Array, key: KeyObject = vtpm.privateKey): AzureVtpmInput {
  const { message, signature } = mintTpmQuote({ extraData: nonce, pcrs }, key);
  return { hclReport, quoteMessage: message, quoteSignature: signature, pcrs: new Map([["sha256", pcrs]]), nonce };
}

test("hardware report, runtime data, attestation key and quote make one chain", () => {
  const { hclReport, snp } = mintHcl();
  const verified = verifyAzureSnpVtpm(inputOf(hclReport), snp);
  assert.equal(verified.runtimeData.userData?.toHex(), "ab".repeat(64));
  assert.deepEqual([...(verified.quote.pcrs.get("sha256")?.keys() ?? [])], [0, 7]);
});

test("hazard A15: report data that is not the hash of the runtime data, in its first half or its second", () => {
  const { hclReport, snp } = mintHcl({ runtimeData: runtimeDataOf(vtpm.publicKey), reportData: new Uint8Array(64).fill(1) });
  assert.throws(() => verifyAzureSnpVtpm(inputOf(hclReport), snp), refusedFor("runtime-data-mismatch"));
  const longer = Buffer.concat([hash("sha256", runtimeDataOf(vtpm.publicKey), "buffer"), new Uint8Array(32).fill(1)]);
  const other = mintHcl({ reportData: longer });
  assert.throws(() => verifyAzureSnpVtpm(inputOf(other.hclReport), other.snp), refusedFor("runtime-data-mismatch"));
});

test("hazard A15: a quote by another key than that of the runtime data", () => {
  const { hclReport, snp } = mintHcl();
  assert.throws(() => verifyAzureSnpVtpm(inputOf(hclReport, stranger.privateKey), snp), refusedFor("bad-signature"));
});

test("hazard A15: runtime data that were changed are refused as changed, even when they no longer parse", () => {
  const { hclReport, snp } = mintHcl();
  const changed = Uint8Array.from(hclReport).fill(0x21, 0x4d4, 0x4d5);
  assert.throws(() => verifyAzureSnpVtpm(inputOf(changed), snp), refusedFor("runtime-data-mismatch"));
});

test("hazard A15: a hardware report that was changed is refused as not signed, wherever it was changed", () => {
  const { hclReport, snp } = mintHcl();
  for (const at of [0x50, 0x50 + 40, 0x90, 0xc0]) {
    const changed = Uint8Array.from(hclReport);
    changed[0x20 + at] = (changed[0x20 + at] ?? 0) ^ 1;
    assert.throws(() => verifyAzureSnpVtpm(inputOf(changed), snp), refusedFor("bad-signature"));
  }
});

test("a nonce that another relying party sent is refused", () => {
  const { hclReport, snp } = mintHcl();
  assert.throws(() => verifyAzureSnpVtpm({ ...inputOf(hclReport), nonce: nonce.subarray(1) }, snp), refusedFor("nonce-mismatch"));
});

const malformed: readonly { readonly rule: string; readonly mint: HclMint; readonly reason: string }[] = [
  { rule: "an unknown TEE", mint: { reportType: 3 }, reason: "unsupported-tee" },
  { rule: "an unknown hash", mint: { hashType: 9 }, reason: "unsupported-algorithm" },
  { rule: "hazard A17: 4 GiB of runtime data", mint: { claimedBytes: 0xffff_ff00 }, reason: "parse-error" },
  { rule: "another version of the runtime data", mint: { runtimeVersion: 2 }, reason: "unsupported-version" },
  { rule: "sizes of header and data that disagree", mint: { claimedSize: 21 }, reason: "parse-error" },
  { rule: "more than 16 KiB of runtime data", mint: { runtimeData: " ".repeat(16 * 1024 + 1) }, reason: "parse-error" },
  { rule: "bytes behind the runtime data that are not zero", mint: { padding: Uint8Array.of(0, 1) }, reason: "trailing-data" },
  { rule: "runtime data longer than the report", mint: { claimedBytes: 9000 }, reason: "parse-error" },
];
for (const { rule, mint, reason } of malformed) {
  test(`parseHclReport refuses ${rule}`, () => {
    assert.throws(() => parseHclReport(mintHcl(mint).hclReport), refusedFor(reason));
  });
}

test("hazard A17: a report of more than 64 KiB is refused before it is read", () => {
  const padded = Buffer.concat([mintHcl().hclReport, new Uint8Array(64 * 1024)]);
  assert.throws(() => parseHclReport(padded), { message: /at most 65536 allowed/ });
});

test("runtime data with two attestation keys, none, or no RSA key are refused", () => {
  const key = JSON.parse(runtimeDataOf(vtpm.publicKey)).keys[0];
  for (const keys of [[key, key], [], [{ ...key, kty: "EC" }], [{ ...key, n: 5 }], "HCLAkPub"]) {
    const report = parseHclReport(mintHcl({ runtimeData: JSON.stringify({ keys }) }).hclReport);
    assert.throws(() => readRuntimeData(report), refusedFor("parse-error"));
  }
  const read = (runtimeData: unknown) => readRuntimeData(parseHclReport(mintHcl({ runtimeData: JSON.stringify(runtimeData) }).hclReport));
  assert.equal(read({ keys: [null, 5, { ...key, kid: "HCLEkPub" }, key] }).attestationKey.kind, "rsa");
  for (const wrong of [{ n: 5 }, { e: 5 }, { kty: "EC" }]) {
    assert.throws(() => read({ keys: [{ ...key, ...wrong }] }), { reason: "parse-error", message: /HCLAkPub is not an RSA key/ });
  }
  assert.throws(() => read({ keys: [{ ...key, n: "" }] }), { reason: "parse-error", message: /not a readable RSA key/ });
  for (const json of [null, [], "x", 5]) assert.throws(() => read(json), { reason: "parse-error", message: /not a JSON object/ });
});

test("user data that are not hex of 1 to 64 bytes are refused, absent ones are not", () => {
  const json = JSON.parse(runtimeDataOf(vtpm.publicKey));
  const read = (userData: unknown) =>
    readRuntimeData(parseHclReport(mintHcl({ runtimeData: JSON.stringify({ ...json, "user-data": userData }) }).hclReport));
  for (const wrong of ["", "A", "xy", "00".repeat(65), 5, null, ["ab"]]) assert.throws(() => read(wrong), refusedFor("parse-error"));
  assert.equal(read(undefined).userData, undefined);
});

test("a TDX guest is bound by the report data of its verified quote", () => {
  const { hclReport, reportData } = mintHcl({ reportType: 4 });
  assert.equal(verifyAzureTdxVtpm(inputOf(hclReport), reportData).hcl.hardware, "tdx");
  assert.throws(() => verifyAzureTdxVtpm(inputOf(hclReport), new Uint8Array(64)), refusedFor("runtime-data-mismatch"));
  assert.throws(() => verifyAzureTdxVtpm(inputOf(mintHcl().hclReport), reportData), refusedFor("unsupported-tee"));
  assert.throws(() => verifyAzureSnpVtpm(inputOf(hclReport), mintHcl().snp), refusedFor("unsupported-tee"));
});

test("parseHclReport accepts or says EVIDENCE_MALFORMED, whatever the input", () => {
  const valid = mintHcl().hclReport;
  const nearlyValid = fc
    .tuple(fc.integer({ min: 0x4c0, max: valid.length - 1 }), fc.nat(255))
    .map(([at, value]) => Uint8Array.from(valid).fill(value, at, at + 1));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 400 }), nearlyValid), (bytes) => {
      try {
        readRuntimeData(parseHclReport(bytes));
      } catch (error) {
        assert(error instanceof EvidenceError && error.code === "EVIDENCE_MALFORMED", String(error));
      }
    }),
  );
});
