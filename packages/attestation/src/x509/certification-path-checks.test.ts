/** One test for each check of a path: what is refused with it and taken without it, or the other way round. */
import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { test } from "node:test";
import { type Certificate, parseCertificate } from "./certificate.ts";
import { type PathOptions, verifyCertificationPath } from "./certification-path.ts";
import type { NameConstraints } from "./extensions.ts";
import type { GeneralName } from "./general-name.ts";
import { type CertificateRequest, issueCertificate, issueRevocationList } from "./issue-certificate.ts";
import { parseRevocationList, type RevocationList } from "./revocation-list.ts";

const NOW = new Date("2026-06-15T12:00:00Z");
const ENDED = new Date("2026-02-01T00:00:00Z");
const newKey = () => generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
const keys = { root: newKey(), ca: newKey(), sub: newKey(), leaf: newKey() };
type Named = readonly [subject: string, key: KeyObject];

function issue([subject, key]: Named, [issuer, issuerKey]: Named, change: Partial<CertificateRequest> = {}): Certificate {
  const validity = { notBefore: new Date("2026-01-01T00:00:00Z"), notAfter: new Date("2027-01-01T00:00:00Z") };
  const request = { subject, issuer, issuerKey, publicKey: createPublicKey(key), serial: 77n, isCa: true, ...validity, ...change };
  return parseCertificate(issueCertificate(request));
}

const ROOT: Named = ["root", keys.root];
const CA: Named = ["ca", keys.ca];
const SUB: Named = ["sub", keys.sub];
const LEAF: Named = ["leaf", keys.leaf];
const root = issue(ROOT, ROOT);
const ca = issue(CA, ROOT, { serial: 5n });
const sub = issue(SUB, CA);
const leaf = issue(LEAF, CA, { isCa: false });
const subLeaf = issue(LEAF, SUB, { isCa: false });
const options: PathOptions = { anchors: [root], now: NOW };
const dns = (text: string): GeneralName => ({ kind: "dns", text });
const onlyBelow = (text: string): NameConstraints => ({ permitted: [dns(text)], excluded: [] });
const outside = { subjectAltNames: [dns("www.example.org")] };
const inside = onlyBelow("example.com");
const SERVER = "1.3.6.1.5.5.7.3.1";
const CLIENT = "1.3.6.1.5.5.7.3.2";
const ANY = "2.5.29.37.0";

/** ECDSA with SHA-224, which no scheme of this library is. */
function withUnknownAlgorithm({ der }: Certificate): Certificate {
  const hex = Buffer.from(der).toString("hex");
  return parseCertificate(Buffer.from(hex.replaceAll("06082a8648ce3d040302", "06082a8648ce3d040301"), "hex"));
}

interface Case {
  readonly rule: string;
  readonly chain: readonly Certificate[];
  readonly change?: Partial<PathOptions>;
  readonly reason?: string;
  readonly says?: RegExp;
}

const refused: readonly Case[] = [
  { rule: "an empty chain", chain: [], says: /chain is empty/ },
  {
    rule: "hazard A17: a chain of 33 certificates",
    chain: [leaf, ...Array<Certificate>(32).fill(root)],
    says: /33 certificates, at most 32/,
  },
  {
    rule: "a certificate that is not followed by its issuer",
    chain: [leaf, sub, root],
    says: /is followed by "CN=sub", its issuer is "CN=ca"/,
  },
  { rule: "a chain whose end somebody else issued", chain: [subLeaf, sub], says: /certificate of the issuer "CN=ca" is missing/ },
  {
    rule: "hazard A8: a chain that ends below a name which only another key bears",
    ...{ chain: [leaf, issue(CA, ["root", keys.leaf])], reason: "untrusted-root", says: /trust anchor "CN=root" has another key/ },
  },
  {
    rule: "hazard A8: a root that nobody trusts",
    ...{ chain: [leaf, ca, root], change: { anchors: [] }, reason: "untrusted-root", says: /"CN=root" is no trust anchor/ },
  },
  {
    // Taken for the anchor, its dates and limits would not count.
    rule: "an ended CA that has the anchor's key and another name",
    ...{ chain: [issue(LEAF, ["x", keys.root]), issue(["x", keys.root], ROOT, { notAfter: ENDED })], reason: "cert-expired" },
  },
  {
    rule: "a certificate of the anchor's name and key that names another issuer",
    ...{ chain: [leaf, ca, issue(ROOT, ["other", keys.root])], says: /issuer "CN=other" is missing/ },
  },
  {
    rule: "hazard A8: a leaf signed with an unknown algorithm",
    chain: [withUnknownAlgorithm(leaf), ca],
    says: /unsupported algorithm 1\.2\.840/,
  },
  {
    rule: "hazard A8: a CA signed with an unknown algorithm",
    ...{ chain: [leaf, withUnknownAlgorithm(ca)], reason: "untrusted-root", says: /has another key/ },
  },
  {
    rule: "a name outside the constraints of the anchor itself",
    ...{ chain: [{ ...leaf, ...outside }, ca], change: { anchors: [{ ...root, nameConstraints: inside }] }, says: /not permitted/ },
  },
  {
    rule: "RFC 5280 §6.1.3 b: a self-issued leaf outside its CA's constraints",
    ...{
      chain: [
        { ...issue(["ca", keys.leaf], CA, { isCa: false }), ...outside },
        { ...ca, nameConstraints: inside },
      ],
      says: /not permitted/,
    },
  },
  {
    rule: "a CA outside the constraints of the CA above it",
    ...{
      chain: [subLeaf, { ...sub, ...outside }, { ...ca, nameConstraints: inside }],
      says: /"CN=sub": dns "www.example.org" is not permitted/,
    },
  },
  {
    rule: "constraints that nothing can be compared with",
    ...{ chain: [leaf, { ...ca, nameConstraints: onlyBelow("no domain") }], says: /"no domain" is not a domain/ },
  },
  {
    rule: "a leaf without a policy where its CA demands one",
    chain: [leaf, { ...ca, policyConstraints: { requireExplicitPolicy: 0, inhibitPolicyMapping: undefined } }],
    says: /no certificate policy is valid/,
  },
  {
    rule: "one CA more than the path may have",
    chain: [subLeaf, sub, ca],
    change: { maxIntermediates: 1 },
    says: /longer than its CAs allow/,
  },
  {
    rule: "one CA more than a CA allows below it",
    ...{ chain: [subLeaf, sub, { ...ca, basicConstraints: { isCa: true, pathLength: 0 } }], says: /"CN=sub": the path is longer/ },
  },
  {
    rule: "one CA more than the anchor allows",
    ...{ chain: [leaf, ca], change: { anchors: [{ ...root, basicConstraints: { isCa: true, pathLength: 0 } }] }, says: /longer/ },
  },
  {
    rule: "an intermediate without basic constraints",
    chain: [leaf, { ...ca, basicConstraints: undefined }],
    says: /"CN=ca": it is no CA/,
  },
  {
    rule: "an intermediate that says it is no CA",
    ...{ chain: [leaf, { ...ca, basicConstraints: { isCa: false, pathLength: undefined } }], says: /"CN=ca": it is no CA/ },
  },
  {
    rule: "an anchor that is no CA",
    chain: [leaf, ca],
    change: { anchors: [{ ...root, basicConstraints: undefined }] },
    says: /"CN=root": it is no CA/,
  },
  {
    rule: "a CA whose key may not sign certificates",
    chain: [leaf, { ...ca, keyUsage: new Set(["cRLSign"]) }],
    says: /may not sign certificates/,
  },
  {
    rule: "a critical extension that is unknown, by name",
    ...{ chain: [{ ...leaf, extensions: new Map([["1.2.3.4", { oid: "1.2.3.4", isCritical: true, value: Buffer.of(5, 0) }]]) }, ca] },
    says: /critical extension 1\.2\.3\.4 is unknown/,
  },
  {
    rule: "a CA for other purposes",
    chain: [leaf, { ...ca, extKeyUsage: new Set([CLIENT]) }],
    change: { extKeyUsage: SERVER },
    says: /"CN=ca": its key purposes/,
  },
  {
    rule: "any purpose, by the rules of the web",
    ...{ chain: [leaf, { ...ca, extKeyUsage: new Set([ANY]) }], change: { extKeyUsage: SERVER, profile: "webpki" }, says: /key purposes/ },
  },
];

for (const { rule, chain, change, reason = "bad-chain", says = /./ } of refused) {
  test(`refused: ${rule}`, () => {
    assert.throws(() => verifyCertificationPath(chain, { ...options, ...change }), { name: "EvidenceError", reason, message: says });
  });
}

const accepted: readonly Case[] = [
  { rule: "an anchor in the chain that is not self-signed", chain: [leaf, ca], change: { anchors: [ca] } },
  {
    rule: "RFC 5280 §6.1.3 b: a self-issued CA outside the constraints of its name",
    chain: [
      { ...issue(LEAF, ["ca", keys.sub], { isCa: false }) },
      { ...issue(["ca", keys.sub], CA), ...outside },
      { ...ca, nameConstraints: inside },
    ],
  },
  {
    rule: "self-issued CAs, which do not count towards the length",
    chain: [issue(LEAF, ["ca", keys.sub], { isCa: false }), issue(["ca", keys.sub], CA), ca],
    change: { maxIntermediates: 1 },
  },
  { rule: "as many CAs as the path may have", chain: [leaf, ca], change: { maxIntermediates: 1 } },
  { rule: "as many CAs as a CA allows below it", chain: [leaf, { ...ca, basicConstraints: { isCa: true, pathLength: 0 } }] },
  { rule: "a CA without key usage", chain: [leaf, { ...ca, keyUsage: undefined }] },
  {
    rule: "a leaf without key usage, whatever is asked",
    chain: [{ ...leaf, keyUsage: undefined }, ca],
    change: { keyUsage: ["digitalSignature"] },
  },
  { rule: "a leaf with the usage that is asked for", chain: [leaf, ca], change: { keyUsage: ["digitalSignature"] } },
  {
    rule: "the name that is asked for",
    chain: [{ ...leaf, ...outside }, ca],
    change: { subject: { kind: "dns", text: "www.example.org" } },
  },
  { rule: "a leaf for one purpose where none is asked for", chain: [{ ...leaf, extKeyUsage: new Set([CLIENT]) }, ca] },
  { rule: "a vendor's leaf for any purpose", chain: [{ ...leaf, extKeyUsage: new Set([ANY]) }, ca], change: { extKeyUsage: SERVER } },
];

for (const { rule, chain, change } of accepted) {
  test(`accepted: ${rule}`, () => {
    assert.equal(verifyCertificationPath(chain, { ...options, ...change }).leaf, chain[0]);
  });
}

test("another certificate of an anchor, signed with its key, ends the path at the anchor", () => {
  const renewed = issue(ROOT, ROOT, { serial: 78n, notAfter: ENDED });
  const path = verifyCertificationPath([leaf, ca, renewed], options);
  assert.deepEqual([path.certificates, path.anchor], [[leaf, ca], root]);
});

test("RFC 5280 §6.1: an anchor's new key under its old name is a CA like all others", () => {
  const rolled = issue(["root", keys.sub], ROOT);
  const below = issue(LEAF, ["root", keys.sub], { isCa: false });
  const path = verifyCertificationPath([below, rolled], options);
  assert.deepEqual([path.certificates, path.anchor], [[below, rolled], root]);
});

test("hazard A8: an anchor whose key is too weak hides no other of the same name", () => {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 1024 });
  const weak = { ...root, publicKeyInfo: createPublicKey(privateKey).export({ type: "spki", format: "der" }) };
  const byWeak = issue(CA, ["root", privateKey]);
  assert.equal(verifyCertificationPath([leaf, ca], { ...options, anchors: [weak, root] }).anchor, root);
  assert.throws(() => verifyCertificationPath([leaf, byWeak], { ...options, anchors: [weak] }), { reason: "untrusted-root" });
});

const listOf = ([issuer, issuerKey]: Named, ...serials: readonly bigint[]): RevocationList => {
  const dates = { thisUpdate: new Date("2026-06-01T00:00:00Z"), nextUpdate: new Date("2026-07-01T00:00:00Z") };
  const revoked = serials.map((serial) => ({ serial, at: NOW }));
  return parseRevocationList(issueRevocationList({ issuer, issuerKey, ...dates, revoked }));
};
const withLists = (lists: readonly RevocationList[], missing: "refuse" | "accept" = "accept") => ({
  ...options,
  revocation: { lists, missing },
});

test("hazard A7: a serial number is revoked only by the issuer that gave it", () => {
  assert.equal(verifyCertificationPath([leaf, ca], withLists([listOf(ROOT, 77n)])).leaf, leaf);
  assert.throws(() => verifyCertificationPath([leaf, ca], withLists([listOf(CA, 77n)])), { reason: "cert-revoked" });
});

test("hazard A7: where lists are demanded, one of every issuer is enough", () => {
  assert.equal(verifyCertificationPath([leaf, ca], withLists([listOf(CA), listOf(ROOT)], "refuse")).leaf, leaf);
  assert.throws(() => verifyCertificationPath([leaf, ca], withLists([listOf(CA)], "refuse")), {
    reason: "collateral-missing",
    message: /"CN=root"/,
  });
});

test("RFC 5280 §5.2: a list without its issuer's key identifier is a vendor's liberty, and no other's", () => {
  const lists = [{ ...listOf(CA), authorityKeyIdentifier: undefined }];
  assert.equal(verifyCertificationPath([leaf, ca], withLists(lists)).leaf, leaf);
  const expected = { reason: "bad-chain", message: /CRL of "CN=ca": the authority key identifier is missing/ };
  assert.throws(() => verifyCertificationPath([leaf, ca], { ...withLists(lists), profile: "rfc5280" }), expected);
});
