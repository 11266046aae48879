import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeUtf8 } from "../core/bytes.ts";
import { extensionList, NOTHING, nameDer } from "../testing/mint-x509.ts";
import { DerReader } from "./der-reader.ts";
import { bitString, boolean, context, integer, objectIdentifier, sequence, tlv } from "./der-writer.ts";
import {
  readAltNames,
  readAuthorityKeyIdentifier,
  readBasicConstraints,
  readCertificatePolicies,
  readExtension,
  readExtensions,
  readExtKeyUsage,
  readInfoAccess,
  readKeyUsage,
  readNameConstraints,
  readPolicyConstraints,
  readPolicyMappings,
} from "./extensions.ts";

const malformed = (detail: string) => new RangeError(detail);
const readerOf = (der: Uint8Array) => new DerReader(der, "test", malformed);
const read = <T>(value: Uint8Array, reader: (reader: DerReader) => T) =>
  readExtension({ oid: "1.2.3", isCritical: false, value }, malformed, reader);

const dns = tlv(0x82, encodeUtf8("a.example"));
const range = (hex: string) => tlv(0x87, Uint8Array.fromHex(hex));
const permitted = (...bases: readonly Uint8Array[]) => context(0, ...bases.map((base) => sequence(base)));
const policy = (oid: string, ...more: readonly Uint8Array[]) => sequence(objectIdentifier(oid), ...more);
const purpose = objectIdentifier("1.2.3");
const mapping = (...more: readonly Uint8Array[]) => sequence(objectIdentifier("1.2.3"), objectIdentifier("1.2.4"), ...more);
const issuer = context(1, context(4, nameDer("x")));
const serial = tlv(0x82, Buffer.of(1));
const description = (...more: readonly Uint8Array[]) => sequence(purpose, tlv(0x86, encodeUtf8("http://a.example")), ...more);

const accepted: readonly { rule: string; value: Uint8Array; reader: (reader: DerReader) => unknown; gives: unknown }[] = [
  { rule: "basic constraints of a leaf", value: sequence(), reader: readBasicConstraints, gives: { isCa: false, pathLength: undefined } },
  {
    ...{ rule: "of a CA with a path length", reader: readBasicConstraints },
    ...{ value: sequence(boolean(true), integer(3)), gives: { isCa: true, pathLength: 3 } },
  },
  { rule: "key usages", value: bitString(Buffer.of(0x06), 1), reader: readKeyUsage, gives: new Set(["keyCertSign", "cRLSign"]) },
  { rule: "the ninth key usage", value: bitString(Buffer.of(0, 0x80), 7), reader: readKeyUsage, gives: new Set(["decipherOnly"]) },
  { rule: "key purposes", value: sequence(purpose), reader: readExtKeyUsage, gives: new Set(["1.2.3"]) },
  { rule: "names", value: sequence(dns), reader: readAltNames, gives: [{ kind: "dns", text: "a.example" }] },
  {
    ...{ rule: "a directory name and one of another form", value: sequence(context(4, nameDer("x")), tlv(0x88, Buffer.of(42))) },
    reader: (reader) => readAltNames(reader).map(({ kind }) => kind),
    gives: ["directory", "other"],
  },
  {
    ...{ rule: "permitted and excluded subtrees", reader: readNameConstraints },
    value: sequence(permitted(dns), context(1, sequence(range("0a000000ff000000")))),
    gives: {
      permitted: [{ kind: "dns", text: "a.example" }],
      excluded: [{ kind: "ip", bytes: Uint8Array.fromHex("0a000000ff000000") }],
    },
  },
  {
    ...{ rule: "ranges of IPv6, all of it and one address", reader: (reader) => readNameConstraints(reader).permitted.length, gives: 2 },
    value: sequence(permitted(range("00".repeat(32)), range("ff".repeat(32)))),
  },
  {
    ...{ rule: "an authority's key", value: sequence(tlv(0x80, Buffer.of(1, 2))), reader: readAuthorityKeyIdentifier },
    gives: { keyIdentifier: Uint8Array.of(1, 2), hasIssuerAndSerial: false },
  },
  {
    ...{ rule: "an authority's name and serial number", value: sequence(issuer, serial), reader: readAuthorityKeyIdentifier },
    gives: { keyIdentifier: undefined, hasIssuerAndSerial: true },
  },
  {
    ...{ rule: "policies, one with qualifiers", reader: readCertificatePolicies, gives: new Set(["1.2.3", "1.2.4"]) },
    value: sequence(policy("1.2.3"), policy("1.2.4", sequence(purpose))),
  },
  {
    ...{ rule: "mappings of policies", value: sequence(mapping()), reader: readPolicyMappings },
    gives: [{ issuerPolicy: "1.2.3", subjectPolicy: "1.2.4" }],
  },
  {
    ...{ rule: "policies that are required", value: sequence(tlv(0x80, Buffer.of(2))), reader: readPolicyConstraints },
    gives: { requireExplicitPolicy: 2, inhibitPolicyMapping: undefined },
  },
  {
    ...{ rule: "mappings that are inhibited", value: sequence(tlv(0x81, Buffer.of(0))), reader: readPolicyConstraints },
    gives: { requireExplicitPolicy: undefined, inhibitPolicyMapping: 0 },
  },
  { rule: "information access", value: sequence(description()), reader: readInfoAccess, gives: undefined },
];

for (const { rule, value, reader, gives } of accepted) {
  test(`RFC 5280 §4.2 reads ${rule}`, () => assert.deepEqual(normal(read(value, reader)), normal(gives)));
}

/** Views and copies of bytes are the same here. */
const normal = (value: unknown): unknown =>
  value instanceof Set
    ? [...value]
    : JSON.parse(JSON.stringify({ value }, (_, each) => (each instanceof Uint8Array ? each.toHex() : each)));

const refused: readonly { rule: string; value: Uint8Array; reader: (reader: DerReader) => unknown; says: RegExp }[] = [
  {
    rule: "bytes behind an extension's value",
    value: Buffer.concat([sequence(), NOTHING, boolean(true)]),
    reader: readBasicConstraints,
    says: /3 bytes follow/,
  },
  {
    rule: "a third member of basic constraints",
    value: sequence(boolean(true), integer(1), integer(1)),
    reader: readBasicConstraints,
    says: /3 bytes follow/,
  },
  {
    rule: "a negative path length",
    value: sequence(boolean(true), tlv(0x02, Buffer.of(0xff))),
    reader: readBasicConstraints,
    says: /negative/,
  },
  { rule: "no key usage", value: bitString(NOTHING), reader: readKeyUsage, says: /no bit/ },
  { rule: "a tenth key usage", value: bitString(Buffer.of(0, 0x40), 6), reader: readKeyUsage, says: /unknown bits/ },
  { rule: "no key purpose", value: sequence(), reader: readExtKeyUsage, says: /no key purposes/ },
  { rule: "257 key purposes", value: sequence(...Array<Uint8Array>(257).fill(purpose)), reader: readExtKeyUsage, says: /more than 256/ },
  { rule: "no name", value: sequence(), reader: readAltNames, says: /no alternative names/ },
  { rule: "a host name that is not ASCII", value: sequence(tlv(0x82, encodeUtf8("ä.example"))), reader: readAltNames, says: /not ASCII/ },
  { rule: "a name of an unknown form", value: sequence(tlv(0x89, NOTHING)), reader: readAltNames, says: /unknown form 0x89/ },
  {
    rule: "bytes behind a directory name",
    value: sequence(context(4, nameDer("x"), integer(1))),
    reader: readAltNames,
    says: /3 bytes follow/,
  },
  { rule: "no constraint", value: sequence(), reader: readNameConstraints, says: /constraints are empty/ },
  { rule: "an empty list of subtrees", value: sequence(context(0)), reader: readNameConstraints, says: /no subtrees/ },
  { rule: "subtrees of a third kind", value: sequence(permitted(dns), context(2)), reader: readNameConstraints, says: /2 bytes follow/ },
  {
    rule: "a subtree with a minimum",
    value: sequence(context(0, sequence(dns, tlv(0x80, Buffer.of(1))))),
    reader: readNameConstraints,
    says: /3 bytes follow/,
  },
  {
    rule: "an address without a mask",
    value: sequence(permitted(range("0a000000"))),
    reader: readNameConstraints,
    says: /not an address and a mask/,
  },
  {
    rule: "a mask with a hole",
    value: sequence(permitted(range("0a000000ff00ff00"))),
    reader: readNameConstraints,
    says: /not an address and a mask/,
  },
  { rule: "an authority's name without serial number", value: sequence(issuer), reader: readAuthorityKeyIdentifier, says: /go together/ },
  { rule: "a serial number without authority", value: sequence(serial), reader: readAuthorityKeyIdentifier, says: /go together/ },
  {
    rule: "an authority with an empty name",
    value: sequence(context(1), serial),
    reader: readAuthorityKeyIdentifier,
    says: /no authorityCertIssuer/,
  },
  { rule: "an authority's fourth member", value: sequence(tlv(0x83, NOTHING)), reader: readAuthorityKeyIdentifier, says: /2 bytes follow/ },
  { rule: "a policy twice", value: sequence(policy("1.2.3"), policy("1.2.3")), reader: readCertificatePolicies, says: /occurs twice/ },
  {
    rule: "a policy's qualifier that is no list",
    value: sequence(policy("1.2.3", integer(1))),
    reader: readCertificatePolicies,
    says: /policy qualifiers has tag/,
  },
  {
    rule: "a policy's third member",
    value: sequence(policy("1.2.3", sequence(), integer(1))),
    reader: readCertificatePolicies,
    says: /3 bytes follow/,
  },
  { rule: "a mapping of three", value: sequence(mapping(purpose)), reader: readPolicyMappings, says: /4 bytes follow/ },
  { rule: "no constraint of policies", value: sequence(), reader: readPolicyConstraints, says: /constraints are empty/ },
  {
    rule: "a third constraint of policies",
    value: sequence(tlv(0x81, Buffer.of(0)), tlv(0x82, Buffer.of(0))),
    reader: readPolicyConstraints,
    says: /3 bytes follow/,
  },
  { rule: "information access of three members", value: sequence(description(integer(1))), reader: readInfoAccess, says: /3 bytes follow/ },
  { rule: "information access without a method", value: sequence(sequence(dns)), reader: readInfoAccess, says: /access method has tag/ },
  {
    rule: "information access without a location",
    value: sequence(sequence(purpose)),
    reader: readInfoAccess,
    says: /access location is missing/,
  },
];

for (const { rule, value, reader, says } of refused) {
  test(`RFC 5280 §4.2 refuses ${rule}`, () => assert.throws(() => read(value, reader), { name: "RangeError", message: says }));
}

test("RFC 5280 §4.2: an extension is there once, critical when it says so, and absent it has no value", () => {
  const one = { oid: "1.2.3", critical: true, value: Buffer.of(5, 0) };
  const other = { ...one, oid: "1.2.4", critical: false };
  const extensions = readExtensions(readerOf(extensionList(one, other)));
  assert.deepEqual(
    extensions
      .values()
      .toArray()
      .map(({ oid, isCritical, value }) => [oid, isCritical, value.toHex()]),
    [
      ["1.2.3", true, "0500"],
      ["1.2.4", false, "0500"],
    ],
  );
  assert.equal(readExtension(extensions.get("1.2.5"), malformed, readKeyUsage), undefined);
  assert.throws(() => readExtensions(readerOf(extensionList(one, other, one))), { message: /1\.2\.3 occurs twice/ });
  const four = sequence(sequence(objectIdentifier("1.2.3"), boolean(true), tlv(0x04), integer(1)));
  assert.throws(() => readExtensions(readerOf(four)), { message: /3 bytes follow/ });
});
