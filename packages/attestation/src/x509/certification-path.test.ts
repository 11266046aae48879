import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { EvidenceError } from "../core/errors.ts";
import { parseCertificate, parsePemCertificates } from "./certificate.ts";
import { type PathOptions, verifyCertificationPath } from "./certification-path.ts";
import { objectIdentifier, octetString, sequence, tlv, utf8String } from "./der-writer.ts";
import { findCertificationPath } from "./find-certification-path.ts";
import { type CertificateRequest, certificatePem, issueCertificate, issueRevocationList } from "./issue-certificate.ts";
import { parseRevocationList } from "./revocation-list.ts";

const NOW = new Date("2026-06-15T12:00:00Z");
const newKey = (namedCurve = "P-256") => generateKeyPairSync("ec", { namedCurve }).privateKey;
const keys = { root: newKey(), ca: newKey(), leaf: newKey(), stranger: newKey() };

function issue(
  subject: string,
  key: KeyObject,
  issuer: string,
  issuerKey: KeyObject,
  change: Partial<CertificateRequest> = {},
): Uint8Array {
  const validity = { notBefore: new Date("2026-01-01T00:00:00Z"), notAfter: new Date("2027-01-01T00:00:00Z") };
  return issueCertificate({
    subject,
    issuer,
    publicKey: createPublicKey(key),
    issuerKey,
    serial: 77n,
    isCa: false,
    ...validity,
    ...change,
  });
}

const rootDer = issue("root", keys.root, "root", keys.root, { isCa: true });
const caDer = issue("ca", keys.ca, "root", keys.root, { isCa: true, serial: 5n });
const leafDer = issue("leaf", keys.leaf, "ca", keys.ca);
const [root, ca, leaf] = [rootDer, caDer, leafDer].map(parseCertificate) as [
  ReturnType<typeof parseCertificate>,
  ReturnType<typeof parseCertificate>,
  ReturnType<typeof parseCertificate>,
]; // three in, three out
const options: PathOptions = { anchors: [root], now: NOW };
const leafWith = (change: Partial<CertificateRequest>) => parseCertificate(issue("leaf", keys.leaf, "ca", keys.ca, change));
const caWith = (change: Partial<CertificateRequest>) =>
  parseCertificate(issue("ca", keys.ca, "root", keys.root, { isCa: true, ...change }));
const keyOf = (type: "rsa" | "ec", detail: number | string) =>
  type === "rsa"
    ? generateKeyPairSync("rsa", { modulusLength: Number(detail) }).publicKey
    : generateKeyPairSync("ec", { namedCurve: String(detail) }).publicKey;

test("a chain with and without its root is the same path", () => {
  for (const chain of [
    [leaf, ca, root],
    [leaf, ca],
  ]) {
    const path = verifyCertificationPath(chain, options);
    assert.deepEqual([path.leaf, path.certificates.length, path.anchor], [leaf, 2, root]);
    assert.equal(path.validUntil, Date.parse("2027-01-01T00:00:00Z"));
  }
});

const extension = (oid: string, critical: boolean, value: Uint8Array) => ({ extensions: [{ oid, critical, value }] });
const permitted = (name: string) => sequence(tlv(0xa0, sequence(tlv(0x82, Buffer.from(name)))));
const refused: readonly {
  rule: string;
  chain: Parameters<typeof verifyCertificationPath>[0];
  reason: string;
  change?: Partial<PathOptions>;
}[] = [
  { rule: "an empty chain", chain: [], reason: "bad-chain" },
  { rule: "hazard A17: a hundred certificates", chain: Array(100).fill(leaf), reason: "bad-chain" },
  { rule: "the anchor alone", chain: [root], reason: "bad-chain" },
  { rule: "a missing intermediate", chain: [leaf], reason: "bad-chain" },
  { rule: "certificates in another order", chain: [leaf, root, ca], reason: "bad-chain" },
  { rule: "no anchors", chain: [leaf, ca, root], reason: "untrusted-root", change: { anchors: [] } },
  {
    rule: "hazard A8: an anchor of the same name and another key",
    chain: [leaf, ca, root],
    reason: "untrusted-root",
    change: { anchors: [parseCertificate(issue("root", keys.stranger, "root", keys.stranger, { isCa: true }))] },
  },
  {
    rule: "the root's name and key under another signature",
    chain: [leaf, ca, parseCertificate(issue("root", keys.root, "root", keys.stranger, { isCa: true }))],
    reason: "untrusted-root",
  },
  {
    rule: "a leaf signed by another key",
    chain: [parseCertificate(issue("leaf", keys.leaf, "ca", keys.stranger)), ca, root],
    reason: "bad-chain",
  },
  { rule: "an intermediate that is no CA", chain: [leaf, caWith({ isCa: false }), root], reason: "bad-chain" },
  { rule: "an expired leaf", chain: [leafWith({ notAfter: new Date("2026-06-15T11:59:59Z") }), ca, root], reason: "cert-expired" },
  {
    rule: "a leaf of the future",
    chain: [leafWith({ notBefore: new Date("2026-06-15T12:00:01Z") }), ca, root],
    reason: "cert-not-yet-valid",
  },
  { rule: "an expired CA", chain: [leaf, caWith({ notAfter: new Date("2026-02-01T00:00:00Z") }), root], reason: "cert-expired" },
  { rule: "an unknown critical extension", chain: [leafWith(extension("1.2.3.4", true, Buffer.of(5, 0))), ca, root], reason: "bad-chain" },
  {
    rule: "a name outside its CA's constraints",
    chain: [
      leafWith(extension("2.5.29.17", false, sequence(tlv(0x82, Buffer.from("a.example.org"))))),
      caWith(extension("2.5.29.30", true, permitted("example.com"))),
      root,
    ],
    reason: "bad-chain",
  },
  { rule: "hazard A8: a P-521 leaf", chain: [leafWith({ publicKey: keyOf("ec", "P-521") }), ca, root], reason: "bad-chain" },
  { rule: "hazard A8: an RSA-1024 leaf", chain: [leafWith({ publicKey: keyOf("rsa", 1024) }), ca, root], reason: "bad-chain" },
  { rule: "a secp256k1 leaf", chain: [leafWith({ publicKey: keyOf("ec", "secp256k1") }), ca, root], reason: "bad-chain" },
  { rule: "a path longer than allowed", chain: [leaf, ca, root], reason: "bad-chain", change: { maxIntermediates: 0 } },
  { rule: "a key that may not do what is asked", chain: [leaf, ca, root], reason: "bad-chain", change: { keyUsage: ["keyCertSign"] } },
  {
    rule: "a purpose that is not listed",
    chain: [leafWith(extension("2.5.29.37", false, sequence(Buffer.from("06082b06010505070302", "hex")))), ca, root],
    reason: "bad-chain",
    change: { extKeyUsage: "1.3.6.1.5.5.7.3.1" },
  },
  {
    rule: "another name than the one asked for",
    chain: [leaf, ca, root],
    reason: "bad-chain",
    change: { subject: { kind: "dns", text: "leaf" } },
  },
  {
    rule: "hazard A7: a missing CRL where one is needed",
    chain: [leaf, ca, root],
    reason: "collateral-missing",
    change: { revocation: { lists: [], missing: "refuse" } },
  },
];

for (const { rule, chain, reason, change } of refused) {
  test(`refused: ${rule}`, () => {
    assert.throws(() => verifyCertificationPath(chain, { ...options, ...change }), { name: "EvidenceError", reason });
  });
}

test("the search finds a path among strangers and leaves a cycle", () => {
  const crossed = parseCertificate(issue("ca", keys.ca, "stranger", keys.stranger, { isCa: true }));
  const back = parseCertificate(issue("stranger", keys.stranger, "ca", keys.ca, { isCa: true }));
  assert.equal(findCertificationPath(leaf, [crossed, back, ca], options).anchor, root);
  assert.throws(() => findCertificationPath(leaf, [crossed, back], options), { reason: "bad-chain" });
});

test("hazard A7: revoked certificates, and lists that are old, of others or signed by others", () => {
  const list = (change: Partial<Parameters<typeof issueRevocationList>[0]> = {}) =>
    parseRevocationList(
      issueRevocationList({
        issuer: "ca",
        issuerKey: keys.ca,
        thisUpdate: new Date("2026-06-01T00:00:00Z"),
        nextUpdate: new Date("2026-07-01T00:00:00Z"),
        revoked: [],
        ...change,
      }),
    );
  const verify = (lists: readonly ReturnType<typeof list>[]) =>
    verifyCertificationPath([leaf, ca, root], { ...options, revocation: { lists, missing: "accept" } });
  assert.equal(verify([list()]).leaf, leaf);
  assert.equal(verify([list({ revoked: [{ serial: 78n, at: NOW }] })]).leaf, leaf);
  assert.throws(() => verify([list({ revoked: [{ serial: 77n, at: NOW }] })]), { reason: "cert-revoked" });
  const rootList = list({ issuer: "root", issuerKey: keys.root, revoked: [{ serial: 5n, at: NOW }] });
  assert.throws(() => verify([rootList]), { reason: "cert-revoked" });
  assert.throws(() => verify([list({ nextUpdate: new Date("2026-06-15T11:00:00Z") })]), { reason: "crl-expired" });
  assert.throws(() => verify([list({ thisUpdate: new Date("2026-06-16T00:00:00Z") })]), { reason: "crl-expired" });
  assert.throws(() => verify([list({ issuerKey: keys.stranger })]), { reason: "crl-bad-signature" });
});

test("PEM has one spelling: nothing but blocks and white space, zeros at the end", () => {
  const pem = [leafDer, caDer].map(certificatePem).join("");
  assert.equal(parsePemCertificates(Buffer.from(`\n${pem}\r\n\0\0`)).length, 2);
  for (const text of [
    "",
    "leaf",
    `leaf\n${pem}`,
    `${pem}x`,
    pem.slice(0, -20),
    certificatePem(leafDer).repeat(17),
    pem.replace("MII", "M!I"),
  ]) {
    assert.throws(() => parsePemCertificates(Buffer.from(text)), { code: "EVIDENCE_MALFORMED" });
  }
});

test("hazard A1: a certificate or CRL with any bit flipped is refused or means the same", () => {
  const refusal = (run: () => unknown) => {
    try {
      run();
      return undefined;
    } catch (error) {
      assert.ok(error instanceof EvidenceError, String(error instanceof Error ? error.stack : error));
      return error;
    }
  };
  for (let at = 0; at < leafDer.length; at++) {
    const mutant = Uint8Array.from(leafDer);
    mutant[at] = (mutant[at] ?? 0) ^ (1 << (at % 8));
    assert.ok(
      refusal(() => verifyCertificationPath([parseCertificate(mutant), ca, root], options)),
      `offset ${at}`,
    );
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(leafDer.length - 1), (noise, at) => {
      const spliced = Buffer.concat([leafDer.slice(0, at), noise]);
      refusal(() => parseCertificate(spliced));
      refusal(() => parseRevocationList(spliced));
      refusal(() => parsePemCertificates(noise));
    }),
    { numRuns: 300 },
  );
});

test("hazard A17: deeply nested values are refused without recursion", () => {
  let nested: Uint8Array = octetString(Buffer.alloc(0));
  for (let depth = 0; depth < 2000; depth++) nested = sequence(nested);
  assert.throws(() => parseCertificate(nested), { code: "EVIDENCE_MALFORMED" });
  assert.throws(() => parseCertificate(sequence(utf8String("x"))), { code: "EVIDENCE_MALFORMED" });
});

test("the serial number of an anchor does not count, that of every other certificate must be positive", () => {
  const strict = { now: NOW, profile: "rfc5280" } as const;
  const rootWithout = parseCertificate(issue("root", keys.root, "root", keys.root, { isCa: true, serial: 0n }));
  assert.equal(verifyCertificationPath([leaf, ca], { ...strict, anchors: [rootWithout] }).anchor, rootWithout);
  const zero = { reason: "bad-chain", message: /serial number is not positive/ };
  assert.throws(() => verifyCertificationPath([leaf, caWith({ serial: 0n })], { ...strict, anchors: [root] }), zero);
  assert.throws(() => verifyCertificationPath([leafWith({ serial: 0n }), ca], { ...strict, anchors: [root] }), zero);
});

test("BR 7.1.2.1: a root that names an authority names its own key", () => {
  const web = { now: NOW, profile: "webpki", extKeyUsage: "1.3.6.1.5.5.7.3.1" } as const;
  const server = leafWith({
    extensions: [
      { oid: "2.5.29.37", critical: false, value: sequence(objectIdentifier(web.extKeyUsage)) },
      { oid: "2.5.29.17", critical: false, value: sequence(tlv(0x82, Buffer.from("leaf"))) },
    ],
  });
  assert.equal(verifyCertificationPath([server, ca], { ...web, anchors: [root] }).leaf, server);
  // The issuer's key gives the authority; an anchor's own signature is not looked at.
  const strange = parseCertificate(issue("root", keys.root, "root", keys.stranger, { isCa: true }));
  const expected = { reason: "bad-chain", message: /not that of its own key/ };
  assert.throws(() => verifyCertificationPath([server, ca], { ...web, anchors: [strange] }), expected);
});
