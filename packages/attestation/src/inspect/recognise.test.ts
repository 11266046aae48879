import assert from "node:assert/strict";
import { test } from "node:test";
import { encode, Tagged } from "cborg";
import { encodeUtf8 } from "../core/bytes.ts";
import { EvidenceError } from "../core/errors.ts";
import { encodeEvidence } from "../core/evidence.ts";
import { SNP_REPORT_BYTES } from "../snp/snp-report.ts";
import { certificateCarrying, INTEL_QUOTE, TAGGED_EVIDENCE } from "../testing/mint-x509.ts";
import { octetString, sequence, tlv } from "../x509/der-writer.ts";
import { certificatePem } from "../x509/issue-certificate.ts";
import { recogniseEvidence } from "./recognise.ts";

/** Zeros, with bytes at their places. */
function file(length: number, ...parts: readonly (readonly [at: number, bytes: Uint8Array | string])[]): Uint8Array {
  const bytes = new Uint8Array(length);
  for (const [at, part] of parts) bytes.set(typeof part === "string" ? encodeUtf8(part) : part, at);
  return bytes;
}
const quote = (version: number, tee: number) => file(64, [0, Uint8Array.of(version, 0, 2, 0, tee)]);
const simulated = (length: number, text: string) => file(64, [0, Uint8Array.of(length)], [1, text]);
/** Begins with the header event of a log: register 0, type 3, no digest. */
const log = file(64, [4, Uint8Array.of(3)], [28, Uint8Array.of(1)]);

const heads: readonly (readonly [what: string, bytes: Uint8Array, format: string | undefined])[] = [
  ["a TPM's quote by its magic number", file(64, [0, Uint8Array.fromHex("ff544347")]), "tpm"],
  ["another magic number", file(64, [0, Uint8Array.fromHex("ff544348")]), undefined],
  ["an HCL report", file(64, [0, "HCLA"]), "azure-hcl"],
  ["another report of that kind", file(64, [0, "HCLB"]), undefined],
  ["a node statement", file(64, [2, "vouchsafe/node-statement/1"]), "node"],
  ["an SNP report by its length", file(SNP_REPORT_BYTES, [0, Uint8Array.of(8)]), "snp"],
  ["an SNP report of a version that is none", file(SNP_REPORT_BYTES, [0, Uint8Array.of(9)]), undefined],
  ["an SNP report with one byte more", file(SNP_REPORT_BYTES + 1, [0, Uint8Array.of(2)]), undefined],
  ...[3, 4, 5].map((version) => [`an SGX quote of version ${version}`, quote(version, 0), "sgx"] as const),
  ...[3, 4, 5].map((version) => [`a TDX quote of version ${version}`, quote(version, 0x81), "tdx"] as const),
  ...[2, 6].map((version) => [`a quote of version ${version}`, quote(version, 0), undefined] as const),
  ...[2, 6].map((version) => [`a TDX quote of version ${version}`, quote(version, 0x81), undefined] as const),
  ["a quote of another TEE", quote(4, 0x82), undefined],
  ["a Nitro document", file(64, [0, Uint8Array.of(0x84, 0x44)]), "nitro"],
  ["a Nitro document with its tag", file(64, [0, Uint8Array.of(0xd2, 0x84)]), "nitro"],
  ["another list of four", file(64, [0, Uint8Array.of(0x84, 0x43)]), undefined],
  ["another item with that second byte", file(64, [0, Uint8Array.of(0x85, 0x44)]), undefined],
  ["another tagged item", file(64, [0, Uint8Array.of(0xd2, 0x83)]), undefined],
  ["another tag", file(64, [0, Uint8Array.of(0xd3, 0x84)]), undefined],
  ...["sgx", "tdx", "snp", "nitro", "tpm"].map(
    (kind) => [`simulated ${kind} evidence`, simulated(kind.length, kind), "simulated"] as const,
  ),
  ["simulated evidence of another kind", simulated(3, "sev"), undefined],
  ["simulated evidence with a longer name than any", simulated(6, "nitro"), undefined],
  ["an event log", log, "event-log"],
  ["a log whose first event has a digest", file(64, [4, Uint8Array.of(3)], [27, Uint8Array.of(1)]), undefined],
  ["a log whose first event is of another type", file(64, [4, Uint8Array.of(4)]), undefined],
  ["a head of sixteen bytes", log.subarray(0, 16), "event-log"],
  ["a head of fifteen", log.subarray(0, 15), undefined],
];
for (const [what, bytes, format] of heads) {
  test(`${format ?? "nothing"} is recognised in ${what}`, () => {
    if (format !== undefined) assert.deepEqual(recogniseEvidence(bytes), { format, bytes });
    else assert.throws(() => recogniseEvidence(bytes), { code: "EVIDENCE_MALFORMED", message: /are no format that is known here$/ });
  });
}

test("a file that is nothing known is named by its length and its first bytes, and said to be decoded where it was", () => {
  const unknown: readonly [bytes: Uint8Array, says: RegExp][] = [
    [new Uint8Array(0), /: 0 bytes are no format/],
    [Uint8Array.of(1, 2, 3), /: 3 bytes that begin with 010203 are no format/],
    [new Uint8Array(100).fill(0xff), /: 100 bytes that begin with ffffffffffffffff are no format/],
    [encodeUtf8(" \n"), /: 2 bytes that begin with 200a are no format/],
    [encodeUtf8("0102030405060708090a"), /: 10 bytes that begin with 0102030405060708, decoded from text, are no format/],
    [encodeUtf8("AQID"), /: 3 bytes that begin with 010203, decoded from text, are no format/],
    [encodeUtf8("abc"), /: 2 bytes that begin with 69b7, decoded from text, are no format/], // no whole bytes in hex
    [Uint8Array.of(0x31, 0x82, 0, 0), /: 4 bytes that begin with 31820000 are no format/],
    [Uint8Array.of(0x30, 0x81, 0), /: 3 bytes that begin with 308100 are no format/],
  ];
  for (const [bytes, message] of unknown) assert.throws(() => recogniseEvidence(bytes), { code: "EVIDENCE_MALFORMED", message });
});

test("text of more than 8 MiB is not decoded", () => {
  const text = (length: number) => encodeUtf8(log.toHex().padStart(length));
  assert.equal(recogniseEvidence(text(8 * 1024 * 1024)).format, "event-log");
  assert.throws(() => recogniseEvidence(text(8 * 1024 * 1024 + 1)), { message: /8388609 bytes that begin with 2020202020202020 are no/ });
});

test("JSON is Evidence as it goes over the wire, with what came along, or the log of a dstack guest", () => {
  const bytes = quote(4, 0);
  const endorsements = new Map([["collateral", Uint8Array.of(1)]]);
  const wire = (evidence: Parameters<typeof encodeEvidence>[0]) => encodeUtf8(JSON.stringify(encodeEvidence(evidence)));
  assert.deepEqual(recogniseEvidence(wire({ kind: "sgx", bytes })), { format: "sgx", bytes });
  assert.deepEqual(recogniseEvidence(wire({ kind: "sgx", bytes, endorsements })), { format: "sgx", bytes, endorsements });
  const dstack = encodeUtf8(" [] ");
  assert.deepEqual(recogniseEvidence(dstack), { format: "dstack-event-log", bytes: dstack });
  assert.throws(() => recogniseEvidence(encodeUtf8("{")), { message: "evidence: begins like JSON, but is not" });
});

const tagged = (value: unknown) => certificateCarrying(TAGGED_EVIDENCE, encode(new Tagged(60_000, value)));

test("what a certificate carries has to be a format that is known; of several certificates the first that has one counts", () => {
  const [none, sgx, tdx] = [new Uint8Array(64), quote(4, 0), quote(4, 0x81)].map((bytes) => certificateCarrying(INTEL_QUOTE, bytes));
  assert(none !== undefined && sgx !== undefined && tdx !== undefined);
  assert.throws(() => recogniseEvidence(none), { message: /are no format that is known here/ });
  const chain = (...ders: readonly Uint8Array[]) => Buffer.from(ders.map(certificatePem).join(""));
  assert.throws(() => recogniseEvidence(chain(none)), { message: /a certificate that carries no quote/ });
  assert.equal(recogniseEvidence(chain(none, tdx, sgx)).format, "tdx");
});

test("tagged evidence is a list that begins with a quote, and nothing behind it", () => {
  assert.equal(recogniseEvidence(tagged([quote(4, 0)])).format, "sgx");
  const refused = [
    ...[
      tagged([]),
      tagged([5]),
      tagged("x"),
      certificateCarrying(TAGGED_EVIDENCE, encode([quote(4, 0)])),
      certificateCarrying(TAGGED_EVIDENCE, encode(null)),
    ],
    certificateCarrying(TAGGED_EVIDENCE, Buffer.concat([encode(new Tagged(60_000, [quote(4, 0)])), Uint8Array.of(0)])),
  ];
  for (const certificate of refused) {
    assert.throws(() => recogniseEvidence(certificate), { message: /the tagged evidence is not a list that begins with a quote/ });
  }
});

test("a quote in a certificate is bare or wrapped once more, whatever its version, and nothing stands behind it", () => {
  for (const version of [3, 4, 5]) {
    for (const value of [quote(version, 0x81), octetString(quote(version, 0x81))])
      assert.deepEqual(recogniseEvidence(certificateCarrying(INTEL_QUOTE, value)), { format: "tdx", bytes: quote(version, 0x81) });
  }
  const wrapped = octetString(quote(4, 0));
  assert.throws(() => recogniseEvidence(certificateCarrying(INTEL_QUOTE, Buffer.concat([wrapped, Uint8Array.of(0)]))), EvidenceError);
});

test("a DNS name with half a byte at its end is no Nitro document", () => {
  const named = (label: string) => certificateCarrying("2.5.29.17", sequence(tlv(0x82, encodeUtf8(`${label}.example`))));
  const label = `8444a1013822${"00".repeat(58)}`;
  assert.equal(recogniseEvidence(named(label)).format, "nitro");
  assert.throws(() => recogniseEvidence(named(`${label}0`)), { message: /a certificate that carries no quote/ });
});
