import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { NOTHING } from "../testing/mint-x509.ts";
import { parseCertificate } from "./certificate.ts";
import { verifyCertificationPath } from "./certification-path.ts";
import { DerReader } from "./der-reader.ts";
import { integer, objectIdentifier, octetString, time } from "./der-writer.ts";
import { describeName } from "./distinguished-name.ts";
import { issueCertificate, issueRevocationList } from "./issue-certificate.ts";
import { parseRevocationList, verifyRevocationList } from "./revocation-list.ts";

const readerOf = (der: Uint8Array) => new DerReader(der, "test", (detail) => new RangeError(detail));

test("what is written is read again: lengths, integers, identifiers, times at their boundaries", () => {
  for (const length of [0, 127, 128, 255, 256, 65_535, 65_536]) {
    assert.equal(readerOf(octetString(new Uint8Array(length))).octetString("x").length, length);
  }
  const integers = [0, 127, 128, 255, 256, 0x1_0000n].map((value) => Buffer.from(integer(value)).toString("hex"));
  assert.deepEqual(integers, ["020100", "02017f", "02020080", "020200ff", "02020100", "0203010000"]);
  for (const oid of ["1.2.3", "2.5.29.127", "2.5.29.128", "1.2.840.113549.1.1.1", "2.16.840.1.101"]) {
    assert.equal(readerOf(objectIdentifier(oid)).oid("x"), oid);
  }
  for (const text of ["2026-01-02T03:04:05Z", "2049-12-31T23:59:59Z", "2050-01-01T00:00:00Z"]) {
    assert.equal(readerOf(time(new Date(text))).time("x"), Date.parse(text));
  }
  assert.deepEqual([time(new Date("2049-12-31T23:59:59Z"))[0], time(new Date("2050-01-01T00:00:00Z"))[0]], [0x17, 0x18]);
});

const validity = { notBefore: new Date("2026-01-01T00:00:00Z"), notAfter: new Date("2027-01-01T00:00:00Z") };
const now = new Date("2026-06-01T00:00:00Z");
const issuers = [
  ["P-256", generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey, "1.2.840.10045.4.3.2"],
  ["P-384", generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey, "1.2.840.10045.4.3.3"],
  ["RSA", generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey, "1.2.840.113549.1.1.10"],
] as const;

for (const [kind, issuerKey, algorithm] of issuers) {
  test(`an authority with a key of ${kind} issues certificates and lists`, () => {
    const publicKey = createPublicKey(issuerKey);
    const request = { ...validity, issuer: "root", publicKey, issuerKey, serial: 1n };
    const root = parseCertificate(issueCertificate({ ...request, subject: "root", isCa: true }));
    const leaf = parseCertificate(issueCertificate({ ...request, subject: "leaf", isCa: false }));
    assert.equal(verifyCertificationPath([leaf], { anchors: [root], now }).anchor, root);
    assert.equal(leaf.signatureAlgorithm.oid, algorithm);
    assert.deepEqual(
      [root, leaf].map(({ basicConstraints }) => basicConstraints?.isCa),
      [true, false],
    );
    assert.deepEqual([...(root.keyUsage ?? []), ...(leaf.keyUsage ?? [])], ["keyCertSign", "cRLSign", "digitalSignature"]);
    assert.deepEqual(leaf.authorityKeyIdentifier?.keyIdentifier, root.subjectKeyIdentifier);
    const dates = { thisUpdate: validity.notBefore, nextUpdate: validity.notAfter };
    for (const revoked of [[], [{ serial: 200n, at: now }]]) {
      const list = parseRevocationList(issueRevocationList({ ...dates, issuer: "root", issuerKey, revoked }));
      assert.deepEqual(
        [...verifyRevocationList(list, root).list.revoked],
        revoked.map(() => "c8"),
      );
    }
  });
}

test("an authority names its organisation, marks critical extensions, and has no other key", () => {
  const [[, issuerKey]] = issuers;
  const request = { ...validity, issuer: "root", subject: "leaf", publicKey: createPublicKey(issuerKey), serial: 1n, isCa: false };
  const extensions = [true, false].map((critical, index) => ({ oid: `1.2.${index}`, critical, value: NOTHING }));
  const leaf = parseCertificate(issueCertificate({ ...request, issuerKey, organization: "Example", extensions }));
  assert.deepEqual([leaf.subject, leaf.issuer].map(describeName), ['"CN=leaf, O=Example"', '"CN=root, O=Example"']);
  assert.deepEqual(
    ["1.2.0", "1.2.1"].map((oid) => leaf.extensions.get(oid)?.isCritical),
    [true, false],
  );
  const unfit = generateKeyPairSync("ec", { namedCurve: "P-521" }).privateKey;
  assert.throws(() => issueCertificate({ ...request, issuerKey: unfit }), { name: "TypeError", message: /P-256, P-384 or RSA/ });
});
