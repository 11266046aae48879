import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeUtf8 } from "../core/bytes.ts";
import { type CertificateParts, certificateWith, NOTHING, nameDer } from "../testing/mint-x509.ts";
import { type CertificateProfile, type CertificateRole, findProfileFault } from "./certificate-profile.ts";
import { bitString, boolean, context, integer, objectIdentifier, octetString, sequence, tlv } from "./der-writer.ts";
import type { CertificateExtension } from "./issue-certificate.ts";

const KEY_ID = Buffer.alloc(20, 7);
const extension = (oid: string, value: Uint8Array, critical = false): CertificateExtension => ({ oid, critical, value });
const subjectKey = extension("2.5.29.14", octetString(KEY_ID));
const authorityKey = extension("2.5.29.35", sequence(tlv(0x80, KEY_ID)));
const otherAuthority = extension("2.5.29.35", sequence(tlv(0x80, Buffer.alloc(20, 8))));
const ISSUER_AND_SERIAL = [context(1, context(4, nameDer("x"))), tlv(0x82, Buffer.of(1))];
const ca = (critical = true) => extension("2.5.29.19", sequence(boolean(true)), critical);
const keyUsage = (bits: number) => extension("2.5.29.15", bitString(Buffer.of(bits), 1), true);
const purposes = (critical: boolean, ...oids: readonly string[]) =>
  extension("2.5.29.37", sequence(...oids.map(objectIdentifier)), critical);
const names = (...list: readonly Uint8Array[]) => extension("2.5.29.17", sequence(...list));
const criticalNames = (...list: readonly Uint8Array[]) => ({ ...names(...list), critical: true });
const dns = (text: string) => tlv(0x82, encodeUtf8(text));
const ip = (hex: string) => tlv(0x87, Uint8Array.fromHex(hex));
const permitted = sequence(context(0, sequence(dns("example.com"))));
const info = sequence(sequence(objectIdentifier("1.3.6.1.5.5.7.48.1"), tlv(0x86, encodeUtf8("http://a.example"))));
const serial = (hex: string) => ({ serialNumber: tlv(0x02, Uint8Array.fromHex(hex)) });

const SERVER = "1.3.6.1.5.5.7.3.1";
const ANY = "2.5.29.37.0";
const CA = [ca(), subjectKey, authorityKey];
const LEAF = [authorityKey];
const without = (list: readonly CertificateExtension[], gone: CertificateExtension) => list.filter((each) => each !== gone);
const web = (alternatives: CertificateExtension, ...more: readonly CertificateExtension[]) => [
  ...[authorityKey, purposes(false, SERVER), alternatives],
  ...more,
];
const HOST = names(dns("www.example.com"));
const NAMELESS = { subject: sequence() };
const SELF_ISSUED = { issuer: nameDer("root"), subject: nameDer("root") };

interface Case {
  readonly rule: string;
  readonly role: CertificateRole;
  readonly profile: CertificateProfile;
  readonly parts?: CertificateParts;
  readonly extensions: readonly CertificateExtension[];
  /** Undefined: no fault. */
  readonly says?: RegExp;
}

const rfc = { profile: "rfc5280" } as const;
const leaf = { ...rfc, role: "leaf" } as const;
const intermediate = { ...rfc, role: "intermediate" } as const;
const anchor = { ...rfc, role: "anchor" } as const;
const server = { role: "leaf", profile: "webpki" } as const;
const webRoot = { role: "anchor", profile: "webpki" } as const;
const named = (subject: string): CertificateParts => ({ subject: nameDer(subject) });

const general: readonly Case[] = [
  {
    rule: "a vendor's certificate may neglect all of them",
    role: "leaf",
    profile: "vendor",
    parts: serial("00"),
    extensions: [keyUsage(6)],
  },
  { rule: "a plain leaf", ...leaf, extensions: LEAF },
  { rule: "a plain CA", ...intermediate, extensions: CA },
  { rule: "serial number 0", ...intermediate, parts: serial("00"), extensions: CA, says: /not positive/ },
  { rule: "serial number 0 of an anchor", ...anchor, parts: serial("00"), extensions: CA },
  { rule: "a negative serial number", ...leaf, parts: serial("80"), extensions: LEAF, says: /not positive/ },
  { rule: "the serial number 127", ...leaf, parts: serial("7f"), extensions: LEAF },
  { rule: "a serial number of 20 bytes", ...leaf, parts: serial("01".repeat(20)), extensions: LEAF },
  { rule: "one of 21 bytes", ...leaf, parts: serial("01".repeat(21)), extensions: LEAF, says: /more than 20/ },
  { rule: "no issuer", ...leaf, parts: { issuer: sequence() }, extensions: LEAF, says: /issuer is empty/ },
  { rule: "a critical key identifier", ...leaf, extensions: [{ ...authorityKey, critical: true }], says: /2\.5\.29\.35 is critical/ },
  { rule: "critical information access", ...leaf, extensions: [...LEAF, extension("1.3.6.1.5.5.7.1.1", info, true)], says: /is critical/ },
  { rule: "information access", ...leaf, extensions: [...LEAF, extension("1.3.6.1.5.5.7.1.1", info)] },
  {
    rule: "name constraints that may be ignored",
    ...intermediate,
    extensions: [...CA, extension("2.5.29.30", permitted)],
    says: /not critical/,
  },
  { rule: "name constraints", ...intermediate, extensions: [...CA, extension("2.5.29.30", permitted, true)] },
  {
    ...{ rule: "BR 7.1.2.5.2 name constraints that may be ignored", role: "intermediate", profile: "webpki" },
    extensions: [...CA, extension("2.5.29.30", permitted)],
  },
  {
    ...{ rule: "inhibitAnyPolicy that may be ignored", role: "intermediate", profile: "webpki" },
    extensions: [...CA, extension("2.5.29.54", integer(0))],
    says: /2\.5\.29\.54 is not critical/,
  },
  { rule: "a CA without a name", ...intermediate, parts: NAMELESS, extensions: CA, says: /subject of a CA/ },
  { rule: "a leaf without a name", ...leaf, parts: NAMELESS, extensions: LEAF, says: /subject is empty and/ },
  { rule: "one with other names that may be ignored", ...leaf, parts: NAMELESS, extensions: [...LEAF, HOST], says: /subject is empty and/ },
  { rule: "one with critical other names", ...leaf, parts: NAMELESS, extensions: [...LEAF, criticalNames(dns("a.example"))] },
  { rule: "a host name with an underscore", ...leaf, extensions: [...LEAF, names(dns("a_b.example"))], says: /not a host name/ },
  { rule: "addresses", ...leaf, extensions: [...LEAF, names(ip("0a000001"), ip("00".repeat(16)))] },
  { rule: "an address of five bytes", ...leaf, extensions: [...LEAF, names(ip("0a00000001"))], says: /address of 5 bytes/ },
  { rule: "an empty mailbox", ...leaf, extensions: [...LEAF, names(tlv(0x81, NOTHING))], says: /empty alternative/ },
  { rule: "a mailbox", ...leaf, extensions: [...LEAF, names(tlv(0x81, encodeUtf8("a@b.example")))] },
];

const authority: readonly Case[] = [
  { rule: "a leaf that does not name its issuer's key", ...leaf, extensions: [subjectKey], says: /authority key identifier is missing/ },
  { rule: "for the web, a server that does not", ...server, extensions: [HOST, purposes(false, SERVER)], says: /identifier is missing/ },
  { rule: "a CA that does not", ...intermediate, extensions: without(CA, authorityKey), says: /authority key identifier is missing/ },
  { rule: "a root that does not", ...anchor, parts: SELF_ISSUED, extensions: without(CA, authorityKey) },
  { rule: "an anchor that is no root and does not", ...anchor, extensions: without(CA, authorityKey), says: /identifier is missing/ },
  { rule: "for the web, an anchor that is no root and does not", ...webRoot, extensions: without(CA, authorityKey) },
  {
    rule: "a CA that says so where it may be ignored",
    ...intermediate,
    extensions: [ca(false), subjectKey, authorityKey],
    says: /not critical/,
  },
  { rule: "a CA that does not name its own key", ...intermediate, extensions: [ca(), authorityKey], says: /subject key identifier/ },
  { rule: "a CA that signs certificates", ...intermediate, extensions: [...CA, keyUsage(6)] },
  { rule: "a leaf that may sign certificates", ...leaf, extensions: [...LEAF, keyUsage(6)], says: /keyCertSign/ },
  { rule: "a leaf that may sign lists", ...leaf, extensions: [...LEAF, keyUsage(2)] },
  { rule: "a leaf with name constraints", ...leaf, extensions: [...LEAF, extension("2.5.29.30", permitted, true)], says: /outside a CA/ },
];

const webRules: readonly Case[] = [
  { rule: "a server", ...server, parts: named("www.example.com"), extensions: web(HOST) },
  { rule: "a root", ...webRoot, parts: SELF_ISSUED, extensions: CA },
  { rule: "a root without authority", ...webRoot, parts: SELF_ISSUED, extensions: without(CA, authorityKey) },
  { rule: "a root with purposes", ...webRoot, parts: SELF_ISSUED, extensions: [...CA, purposes(false, SERVER)], says: /root has extended/ },
  {
    ...{ rule: "a root whose authority is a name", ...webRoot, parts: SELF_ISSUED },
    extensions: [ca(), subjectKey, extension("2.5.29.35", sequence(...ISSUER_AND_SERIAL))],
    says: /lacks the key identifier/,
  },
  { rule: "a root of another key", ...webRoot, parts: SELF_ISSUED, extensions: [ca(), subjectKey, otherAuthority], says: /its own key/ },
  { rule: "one that names no key of its own", ...webRoot, parts: SELF_ISSUED, extensions: [authorityKey], says: /its own key/ },
  { rule: "an anchor that another CA issued", ...webRoot, extensions: [ca(), subjectKey, otherAuthority] },
  {
    ...{ rule: "an authority with key and name", role: "intermediate", profile: "webpki" },
    extensions: [ca(), subjectKey, extension("2.5.29.35", sequence(tlv(0x80, KEY_ID), ...ISSUER_AND_SERIAL))],
    says: /names issuer or serial/,
  },
  { rule: "a CA needs no purposes", role: "intermediate", profile: "webpki", extensions: CA },
  { rule: "a CA as a server", ...server, parts: named("www.example.com"), extensions: web(HOST, ca(), subjectKey), says: /of a CA/ },
  { rule: "no purposes", ...server, extensions: [authorityKey, HOST], says: /serverAuth is missing/ },
  {
    rule: "other purposes",
    ...server,
    extensions: [authorityKey, HOST, purposes(false, "1.3.6.1.5.5.7.3.2")],
    says: /serverAuth is missing/,
  },
  { rule: "any purpose", ...server, extensions: [authorityKey, HOST, purposes(false, SERVER, ANY)], says: /any extended/ },
  { rule: "critical purposes", ...server, extensions: [authorityKey, HOST, purposes(true, SERVER)], says: /usages are critical/ },
  { rule: "no alternative names", ...server, extensions: [authorityKey, purposes(false, SERVER)], says: /no alternative names/ },
  {
    ...{ rule: "critical names beside a subject", ...server, parts: named("www.example.com") },
    extensions: web(criticalNames(dns("www.example.com"))),
    says: /critical though/,
  },
  { rule: "critical names alone", ...server, parts: NAMELESS, extensions: web(criticalNames(dns("www.example.com"))) },
];

/** BR 7.1.4.3: which common names go with which alternative names. */
const commonNames: readonly (readonly [commonName: string, alternatives: readonly Uint8Array[], isCopy: boolean])[] = [
  ["www.example.com", [dns("example.com")], false],
  ["WWW.example.com", [dns("www.example.com")], false],
  ["www.example.com", [dns("a.example.com"), dns("www.example.com")], true],
  ["example.com", [dns("*.example.com")], true],
  ["*.example.com", [dns("*.example.com")], true],
  ["www.example.com", [ip("0a000001")], true],
  ["www.example.com", [ip("0a000001"), dns("a.example.com")], false],
  ["server", [ip("0a000001")], false],
  ["a_b.example", [ip("0a000001")], false],
  ["10.0.0.1", [ip("0a000001")], true],
  ["10.0.0.2", [ip("0a000001")], false],
  ["10.0.0.1", [dns("a.example"), ip("0a000001")], true],
  ["2001:db8::1", [ip("20010db8000000000000000000000001")], true],
  ["2001:db8:0:0:0:0:0:1", [ip("20010db8000000000000000000000001")], false],
  ["::", [ip("00".repeat(16))], true],
  ["::1", [ip("00000000000000000000000000000001")], true],
  ["fe80::", [ip("fe800000000000000000000000000000")], true],
  ["1:2:3:4:5:6:7:8", [ip("00010002000300040005000600070008")], true],
  ["1:0:3:4:5:6:7:8", [ip("00010000000300040005000600070008")], true],
  ["1::4:5:0:0:8", [ip("00010000000000040005000000000008")], true],
  ["1:0:0:4::8", [ip("00010000000000040000000000000008")], true],
];

for (const { rule, role, profile, parts = {}, extensions, says } of [...general, ...authority, ...webRules]) {
  test(`${profile}, ${role}: ${says === undefined ? "accepted" : "refused"}: ${rule}`, () => {
    const fault = findProfileFault(certificateWith(parts, ...extensions), role, profile);
    if (says === undefined) assert.equal(fault, undefined);
    else assert.match(fault ?? "no fault", says);
  });
}

test("BR 7.1.4.3: a common name is a copy of an alternative name", () => {
  for (const [commonName, alternatives, isCopy] of commonNames) {
    const fault = findProfileFault(certificateWith(named(commonName), ...web(names(...alternatives))), "leaf", "webpki");
    assert.equal(fault, isCopy ? undefined : `the common name "${commonName}" is not one of the alternative names`);
  }
});
