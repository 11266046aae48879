import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import { test } from "node:test";
import { concat, u16, u32 } from "../core/bytes.ts";
import { readPublicKey } from "../x509/public-key.ts";
import { encodeTpmPublic, encodeTpmQuote, encodeTpmSignature } from "./encode-tpm-quote.ts";
import { parsePcrBanks } from "./pcr-banks.ts";
import { assertAttestationKey, parseTpmPublic } from "./tpm-public.ts";
import { parseTpmQuote, parseTpmSignature } from "./tpm-quote.ts";
import { verifyTpmQuote, verifyTpmSignature } from "./verify-tpm-quote.ts";

const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const pcr = new Uint8Array(32).fill(7);
const message = encodeTpmQuote(Uint8Array.of(1, 2, 3, 4), new Map([[8, pcr]]));
const signature = encodeTpmSignature(sign("sha256", message, { key: privateKey, dsaEncoding: "ieee-p1363" }));
const area = encodeTpmPublic(privateKey);
const attestationKey = parseTpmPublic(area).key;

/** Places in `message`, behind 4 bytes of extraData. */
const AT = { extraDataSize: 42, safe: 64, banks: 73, bank: 77, sizeofSelect: 79 };
const edited = (bytes: Uint8Array, at: number, ...values: readonly number[]) => {
  const copy = Uint8Array.from(bytes);
  copy.set(values, at);
  return copy;
};

const quotes: readonly { rule: string; bytes: Uint8Array; reason: string; says: RegExp }[] = [
  { rule: "a flag that is neither yes nor no", bytes: edited(message, AT.safe, 2), reason: "parse-error", says: /safe is 2/ },
  { rule: "bytes behind it", bytes: Uint8Array.of(...message, 0), reason: "trailing-data", says: /1 bytes follow/ },
  { rule: "hazard A17: 17 banks", bytes: edited(message, AT.banks, 0, 0, 0, 17), reason: "parse-error", says: /17 PCR banks, at most 16/ },
  { rule: "an unknown bank", bytes: edited(message, AT.bank, 0, 0x27), reason: "unsupported-algorithm", says: /PCR bank 0x27/ },
  { rule: "a selection of 5 bytes", bytes: edited(message, AT.sizeofSelect, 5), reason: "parse-error", says: /5 bytes, at most 4/ },
  {
    rule: "hazard A17: 67 bytes of extraData",
    bytes: edited(message, AT.extraDataSize, 0, 67),
    reason: "parse-error",
    says: /67 bytes, at most 66/,
  },
];
for (const { rule, bytes, reason, says } of quotes) {
  test(`hazard A13: a quote with ${rule} is malformed`, () => {
    assert.throws(() => parseTpmQuote(bytes), { code: "EVIDENCE_MALFORMED", reason, message: says });
  });
}

test("a quote says whether its clock may have gone backwards", () => {
  assert.equal(parseTpmQuote(message).safe, true);
  assert.equal(parseTpmQuote(edited(message, AT.safe, 0)).safe, false);
});

test("hazard A13: a signature of an unknown scheme or digest, or with bytes behind it, is malformed", () => {
  assert.throws(() => parseTpmSignature(edited(signature, 0, 0, 0x1a)), { reason: "unsupported-algorithm", message: /algorithm 0x1a/ });
  assert.throws(() => parseTpmSignature(edited(signature, 2, 0, 0x12)), { reason: "unsupported-algorithm", message: /hash 0x12/ });
  assert.throws(() => parseTpmSignature(Uint8Array.of(...signature, 0)), { reason: "trailing-data" });
});

test("hazard A13: a public area of an unknown type, cipher or curve, or with bytes behind it, is malformed", () => {
  const refused = (bytes: Uint8Array, reason: string, message: RegExp) =>
    assert.throws(() => parseTpmPublic(bytes), { code: "EVIDENCE_MALFORMED", reason, message });
  refused(edited(area, 0, 0, 0x08), "unsupported-algorithm", /type 0x8/);
  refused(edited(area, 2, 0, 0x12), "unsupported-algorithm", /nameAlg 0x12/);
  refused(edited(area, 10, 0, 0x13), "unsupported-algorithm", /symmetric algorithm 0x13/);
  refused(edited(area, 16, 0, 0x10), "unsupported-algorithm", /curve 0x10/);
  refused(Uint8Array.of(...area, 0), "trailing-data", /1 bytes follow/);
});

test("a public area may name a cipher with its mode, and a scheme with its count", () => {
  const withAes = concat(area.subarray(0, 10), u16(0x0006), u16(128), u16(0x0043), area.subarray(12));
  const parsed = parseTpmPublic(withAes);
  assert.deepEqual([parsed.symmetricBits, parsed.key.spki], [128, attestationKey.spki]);
  const withCount = concat(area.subarray(0, 12), u16(0x001a), u16(0x000b), u16(1), area.subarray(16));
  assert.deepEqual(parseTpmPublic(withCount).key.spki, attestationKey.spki);
});

test("hazard A13: an attestation key has every attribute that keeps it in its TPM, and none that would let it sign other things", () => {
  const attributes = 0x00050072;
  const withAttributes = (bits: number) => parseTpmPublic(concat(area.subarray(0, 4), u32(bits), area.subarray(8)));
  assertAttestationKey(withAttributes(attributes));
  for (const bit of [1, 4, 5, 16, 17, 18]) {
    assert.throws(
      () => assertAttestationKey(withAttributes(attributes ^ (1 << bit))),
      { code: "EVIDENCE_SIGNATURE", reason: "policy" },
      `${bit}`,
    );
  }
});

test("hazard A13: values of PCRs are hex of a digest, by known bank and index", () => {
  const hex = "ab".repeat(32);
  const refused = (json: unknown, message: RegExp) =>
    assert.throws(() => parsePcrBanks(Buffer.from(JSON.stringify(json))), { code: "EVIDENCE_MALFORMED", reason: "parse-error", message });
  assert.equal(
    parsePcrBanks(Buffer.from(JSON.stringify({ sha256: { 31: hex } })))
      .get("sha256")
      ?.get(31)
      ?.toHex(),
    hex,
  );
  for (const document of [null, [], "x", 5]) refused(document, /the document is not an object/);
  for (const bank of [null, [], "x", 5]) refused({ sha256: bank }, /sha256 is not an object/);
  refused({ sm3: {} }, /a bank is none of/);
  for (const index of ["32", "01", "-1", "1.5", "x"]) refused({ sha256: { [index]: hex } }, /a PCR index is not 0 to 31/);
  for (const value of [5, null, [hex], "ab", `${hex}0`, "g".repeat(64), "ab".repeat(65)])
    refused({ sha256: { 0: value } }, /PCR 0 is not hex of a digest/);
  assert.throws(() => parsePcrBanks(Buffer.from("{")), { message: /not JSON/ });
});

test("hazard A13: a value that is missing or of another length is told as that", () => {
  const verify = (value: Uint8Array | undefined) =>
    verifyTpmQuote({ message, signature, attestationKey, pcrs: new Map([["sha256", new Map(value === undefined ? [] : [[8, value]])]]) });
  assert.equal(verify(pcr).pcrs.get("sha256")?.get(8), pcr);
  assert.throws(() => verify(undefined), { reason: "pcr-mismatch", message: /no value is given for PCR 8/ });
  assert.throws(() => verify(pcr.subarray(1)), { reason: "pcr-mismatch", message: /has 31 bytes/ });
});

test("hazard A1: a signature with PSS by another key, or over another message, is none", () => {
  const [signer, stranger] = [0, 1].map(() => generateKeyPairSync("rsa", { modulusLength: 2048 }));
  assert.ok(signer !== undefined && stranger !== undefined);
  const key = readPublicKey(signer.publicKey.export({ type: "spki", format: "der" }));
  const made = (by: typeof signer, saltLength: number) => sign("sha256", message, { key: by.privateKey, padding: 6, saltLength });
  const isSigned = (bytes: Uint8Array, over = message) => verifyTpmSignature(over, { scheme: "rsapss", hash: "sha256", bytes }, key);
  for (const salt of [32, 222]) assert.equal(isSigned(made(signer, salt)), true);
  assert.equal(isSigned(made(signer, 20)), false);
  assert.equal(isSigned(made(stranger, 32)), false);
  assert.equal(isSigned(made(signer, 32), area), false);
  assert.equal(verifyTpmSignature(message, { scheme: "rsapss", hash: "sha256", bytes: made(signer, 32) }, attestationKey), false);
});
