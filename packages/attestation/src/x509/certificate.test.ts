import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type CertificateParts,
  certificateWith,
  ECDSA_SHA256,
  extensionList,
  mintCertificate,
  NOTHING,
  nameDer,
} from "../testing/mint-x509.ts";
import { isSelfIssued, parseCertificate, parsePemCertificates, publicKeyOf, serialNumberHex, splitPem } from "./certificate.ts";
import { bitString, context, integer, objectIdentifier, octetString, sequence, time, tlv } from "./der-writer.ts";
import { certificatePem } from "./issue-certificate.ts";

const NULL = tlv(0x05);
const OTHER_ALGORITHM = sequence(objectIdentifier("1.2.840.10045.4.3.3"));
const start = time(new Date("2026-01-01T00:00:00Z"));
const someExtension = extensionList({ oid: "1.2.3", critical: false, value: NULL });
const withExtension = (oid: string, value: Uint8Array): CertificateParts => ({
  extensions: context(3, extensionList({ oid, critical: false, value })),
});

const refused: readonly { rule: string; parts: CertificateParts; says: RegExp }[] = [
  { rule: "more than 256 KiB", parts: { afterCertificate: new Uint8Array(256 * 1024) }, says: /at most 262144/ },
  { rule: "bytes behind it", parts: { afterCertificate: NULL }, says: /certificate: 2 bytes follow/ },
  { rule: "a fourth member", parts: { afterSignature: NULL }, says: /certificate: 2 bytes follow/ },
  { rule: "bytes behind its extensions", parts: { afterTbs: NULL }, says: /tbsCertificate: 2 bytes follow/ },
  { rule: "two signature algorithms", parts: { outerAlgorithm: OTHER_ALGORITHM }, says: /signature algorithm differ/ },
  { rule: "a signature that is no bit string", parts: { signature: octetString(NULL) }, says: /signature has tag/ },
  { rule: "version 1 spelled out", parts: { version: context(0, integer(0)) }, says: /version 1/ },
  { rule: "version 4", parts: { version: context(0, integer(3)) }, says: /version 4/ },
  { rule: "two versions", parts: { version: context(0, integer(2), integer(2)) }, says: /version: 3 bytes follow/ },
  { rule: "a serial number of 65 bytes", parts: { serialNumber: tlv(0x02, Buffer.alloc(65, 1)) }, says: /serial number of 65 bytes/ },
  { rule: "three dates", parts: { validity: sequence(start, start, start) }, says: /validity: 15 bytes follow/ },
  { rule: "unique identifiers in version 1", parts: { version: NOTHING, afterKey: tlv(0x81, Buffer.of(0)) }, says: /3 bytes follow/ },
  {
    rule: "extensions in version 2",
    parts: { version: context(0, integer(1)), extensions: context(3, someExtension) },
    says: /bytes follow/,
  },
  { rule: "extensions in version 1", parts: { version: NOTHING, extensions: context(3, someExtension) }, says: /bytes follow/ },
  {
    rule: "two lists of extensions",
    parts: { extensions: context(3, someExtension, someExtension) },
    says: /extensions: \d+ bytes follow/,
  },
  { rule: "an empty list of extensions", parts: { extensions: context(3, sequence()) }, says: /no extensions/ },
  { rule: "another name of its issuer without a name", parts: withExtension("2.5.29.18", sequence()), says: /no alternative names/ },
  { rule: "information access without any", parts: withExtension("1.3.6.1.5.5.7.1.1", sequence()), says: /no descriptions/ },
  { rule: "the subject's information access without any", parts: withExtension("1.3.6.1.5.5.7.1.11", sequence()), says: /no descriptions/ },
];

for (const { rule, parts, says } of refused) {
  test(`RFC 5280 §4.1: a certificate is refused: ${rule}`, () => {
    assert.throws(() => parseCertificate(mintCertificate(parts)), { code: "EVIDENCE_MALFORMED", reason: "parse-error", message: says });
  });
}

test("certificates of three versions are read, from version 2 with unique identifiers", () => {
  const identifiers = { afterKey: Buffer.concat([tlv(0x81, Buffer.of(0)), tlv(0x82, Buffer.of(0))]) };
  const versions = [{ version: NOTHING }, { version: context(0, integer(1)), ...identifiers }, identifiers];
  assert.deepEqual(
    versions.map((parts) => certificateWith(parts).version),
    [1, 2, 3],
  );
  assert.equal(certificateWith({ serialNumber: tlv(0x02, Buffer.alloc(64, 1)) }).serialNumber.length, 64);
});

test("a certificate is self-issued when its names are the same, and a serial number has no leading zeros", () => {
  assert.deepEqual([certificateWith({}), certificateWith({ issuer: nameDer("SUBJECT") })].map(isSelfIssued), [false, true]);
  assert.deepEqual(
    ["00", "0000ff", "0100"].map((hex) => serialNumberHex(Uint8Array.fromHex(hex))),
    ["0", "ff", "100"],
  );
});

test("hazard A8: keys that may prove nothing are refused each time, good ones are the same each time", () => {
  const good = certificateWith({});
  assert.equal(publicKeyOf(good), publicKeyOf(good));
  const curve = sequence(objectIdentifier("1.2.840.10045.2.1"), objectIdentifier("1.2.840.10045.3.1.7"));
  const beside = certificateWith({ publicKeyInfo: sequence(curve, bitString(Buffer.concat([Buffer.of(4), Buffer.alloc(64, 1)]))) });
  const unknown = certificateWith({ publicKeyInfo: sequence(ECDSA_SHA256, bitString(NULL)) });
  for (const [certificate, says] of [
    [beside, /cannot be imported/],
    [unknown, /is of the kind/],
  ] as const) {
    for (const _ of [1, 2])
      assert.throws(() => publicKeyOf(certificate), { code: "EVIDENCE_SIGNATURE", reason: "bad-chain", message: says });
  }
});

test("PEM: up to sixteen blocks, and only white space and zeros around them", () => {
  const pem = certificatePem(mintCertificate());
  const read = (text: string) => parsePemCertificates(Buffer.from(text)).length;
  assert.deepEqual([read(pem), read(` \t${pem}\r\n${pem}\0`), read(pem.repeat(16))], [1, 2, 16]);
  assert.deepEqual(splitPem(Buffer.from(" \n")), []);
  const says: readonly (readonly [text: string, says: RegExp])[] = [
    [pem.repeat(17), /more than 16/],
    [`x${pem}`, /text outside/],
    [`${pem}x${pem}`, /text outside/],
    [`${pem}x`, /text outside/],
    [" \n", /no PEM certificate/],
    [pem.slice(0, 100), /does not end/],
    [pem.replace("MII", "M_I"), /not base64/],
  ];
  for (const [text, message] of says) assert.throws(() => read(text), { code: "EVIDENCE_MALFORMED", message });
});
