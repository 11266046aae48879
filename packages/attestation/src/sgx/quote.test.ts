import assert from "node:assert/strict";
import { test } from "node:test";
import { verifyEvidence } from "../core/verify.ts";
import { parseTdReport } from "../tdx/td-report.ts";
import { mintIntel } from "../testing/mint-intel.ts";
import { parseQuote } from "./quote.ts";
import { parseSgxReport } from "./sgx-report.ts";
import { PCK_CHAIN } from "./verify-sgx-evidence.ts";

const V5_BODY_TYPE = 48;
const V5_BODY_LENGTH = 50;
/** Signature length of a quote with an SGX body, by version. */
const signatureLengthAt = (version: number) => 48 + (version === 5 ? 6 : 0) + 384;
const CERTIFICATION_TYPE = 4 + 64 + 64;

function edited(version: number, edit: (quote: Buffer) => void): Buffer {
  const quote = Buffer.from(mintIntel({ version }).quote);
  edit(quote);
  return quote;
}

/** Version 3 wraps the certification data once less: behind both signatures, the QE report and its authentication data. */
const V3_CERTIFICATION_TYPE = signatureLengthAt(3) + 4 + 64 + 64 + 384 + 64 + 2 + 32;

const refused: readonly { rule: string; quote: Buffer; reason: string; says?: RegExp }[] = [
  ...[0, 8].map((type) => ({
    rule: `certification data of type ${type} in version 3`,
    quote: edited(3, (q) => void q.writeUInt16LE(type, V3_CERTIFICATION_TYPE)),
    reason: "unsupported-certification-data",
    says: /is unknown$/,
  })),
  {
    rule: "hazard A16: a TDX guest in version 3, which has none",
    quote: Buffer.from(mintIntel({ tee: "tdx", version: 3 }).quote),
    reason: "unsupported-tee",
    says: /not supported in version 3$/,
  },
  { rule: "an unknown body type", quote: edited(5, (q) => void q.writeUInt16LE(5, V5_BODY_TYPE)), reason: "unsupported-tee" },
  {
    rule: "hazard A16: a TD body under an SGX header",
    quote: edited(5, (q) => void q.writeUInt16LE(2, V5_BODY_TYPE)),
    reason: "parse-error",
    says: /does not belong to the TEE type/,
  },
  { rule: "a body of another length", quote: edited(5, (q) => void q.writeUInt32LE(385, V5_BODY_LENGTH)), reason: "parse-error" },
  {
    rule: "another certification data around the QE report",
    quote: edited(4, (q) => void q.writeUInt16LE(5, signatureLengthAt(4) + CERTIFICATION_TYPE)),
    reason: "unsupported-certification-data",
  },
  {
    rule: "certification data of type 0",
    quote: edited(4, (q) => void q.writeUInt16LE(0, signatureLengthAt(4) + CERTIFICATION_TYPE)),
    reason: "unsupported-certification-data",
  },
];

for (const { rule, quote, reason, says = /./ } of refused) {
  test(`parseQuote refuses ${rule}`, () => {
    assert.throws(() => parseQuote(quote), { code: "EVIDENCE_MALFORMED", reason, message: says });
  });
}

test("a TEE that is not supported is told with those that are, by version", () => {
  const otherTee = (version: number) => edited(version, (q) => void q.writeUInt32LE(0x82, 4));
  assert.throws(() => parseQuote(otherTee(3)), { reason: "unsupported-tee", expected: "0x0 (SGX)", found: "0x82" });
  assert.throws(() => parseQuote(otherTee(4)), { reason: "unsupported-tee", expected: "0x0 (SGX) or 0x81 (TDX)", found: "0x82" });
});

test("a signature length that cuts its data off is told as that, not as bytes behind the quote", () => {
  for (const version of [3, 4, 5]) {
    for (const shorter of [0, 127, 700]) {
      const quote = edited(version, (q) => void q.writeUInt32LE(shorter, signatureLengthAt(version)));
      assert.throws(() => parseQuote(quote), { reason: "parse-error" });
    }
  }
});

test("zeros may fill the signature data, anything else may not", () => {
  for (const version of [3, 4, 5]) {
    const quote = edited(version, (q) => void q.writeUInt32LE(q.readUInt32LE(signatureLengthAt(version)) + 2, signatureLengthAt(version)));
    assert.equal(parseQuote(Buffer.concat([quote, Buffer.of(0, 0)])).version, version);
    assert.throws(() => parseQuote(Buffer.concat([quote, Buffer.of(0, 1)])), { reason: "trailing-data" });
  }
});

test("a quote that only names its platform is refused, and verified with a chain from elsewhere", () => {
  const { quote, context } = mintIntel();
  const text = Buffer.from(quote).toString("latin1");
  const chain = Buffer.from(text.slice(text.indexOf("-----BEGIN")), "latin1");
  const named = edited(3, (q) => void q.writeUInt16LE(3, text.indexOf("-----BEGIN") - 6));
  assert.throws(() => verifyEvidence({ kind: "sgx", bytes: named }, context), { reason: "unsupported-certification-data" });
  const evidence = { kind: "sgx", bytes: named, endorsements: new Map([[PCK_CHAIN, chain]]) } as const;
  assert.equal(verifyEvidence(evidence, context).tcb.status, "UpToDate");
});

test("a chain from elsewhere counts in place of the quote's, with its issuers in any order and nobody else among them", () => {
  const { quote, context } = mintIntel();
  const text = Buffer.from(quote).toString("latin1");
  const garbled = Buffer.from(quote).fill("#", text.indexOf("-----BEGIN"));
  const [pck = "", ca = "", root = ""] = text.slice(text.indexOf("-----BEGIN")).split(/(?<=-----END CERTIFICATE-----\n)/);
  const verifyWith = (...blocks: readonly string[]) => {
    const endorsements = new Map([[PCK_CHAIN, Buffer.from(blocks.join(""))]]);
    return verifyEvidence({ kind: "sgx", bytes: garbled, endorsements }, context).tcb.status;
  };
  assert.throws(() => verifyEvidence({ kind: "sgx", bytes: garbled }, context), { reason: "parse-error" });
  for (const issuers of [[ca, root], [root, ca], [ca]]) assert.equal(verifyWith(pck, ...issuers), "UpToDate");
  for (const blocks of [[ca, pck, root], [pck, root], [pck, ca, root, pck], [pck]])
    assert.throws(() => verifyWith(...blocks), { reason: "bad-chain" });
});

test("reports of another length are a caller's mistake", () => {
  assert.throws(() => parseSgxReport(new Uint8Array(383)), TypeError);
  assert.throws(() => parseTdReport(new Uint8Array(600)), TypeError);
});
