import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import { test } from "node:test";
import { ECDSA_SHA256, extensionList, NOTHING, nameDer } from "../testing/mint-x509.ts";
import { parseCertificate } from "./certificate.ts";
import { bitString, context, integer, objectIdentifier, octetString, sequence, time, tlv } from "./der-writer.ts";
import { type CertificateExtension, type CertificateRequest, issueCertificate } from "./issue-certificate.ts";
import { assertRevocationListCurrent, findListFault, isRevokedBy, parseRevocationList, verifyRevocationList } from "./revocation-list.ts";

interface ListParts {
  readonly version?: Uint8Array;
  readonly innerAlgorithm?: Uint8Array;
  readonly outerAlgorithm?: Uint8Array;
  readonly issuer?: Uint8Array;
  readonly nextUpdate?: Uint8Array;
  readonly revoked?: Uint8Array;
  readonly extensions?: Uint8Array;
  readonly afterTbs?: Uint8Array;
  readonly afterSignature?: Uint8Array;
  readonly afterList?: Uint8Array;
}

const NULL = tlv(0x05);
const START = new Date("2026-06-01T00:00:00Z");
const END = new Date("2026-07-01T00:00:00Z");
const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;

function mintList(parts: ListParts = {}): Uint8Array {
  const tbs = sequence(
    ...[parts.version ?? integer(1), parts.innerAlgorithm ?? ECDSA_SHA256, parts.issuer ?? nameDer("ca")],
    ...[time(START), parts.nextUpdate ?? time(END), parts.revoked ?? NOTHING, parts.extensions ?? NOTHING, parts.afterTbs ?? NOTHING],
  );
  const signature = bitString(sign("sha256", tbs, privateKey));
  const whole = sequence(tbs, parts.outerAlgorithm ?? ECDSA_SHA256, signature, parts.afterSignature ?? NOTHING);
  return Buffer.concat([whole, parts.afterList ?? NOTHING]);
}

const entry = (serial: number, ...more: readonly Uint8Array[]) => sequence(integer(serial), time(START), ...more);
const some = (oid: string, value: Uint8Array, critical = false) => ({ oid, critical, value });
const extensions = (...list: readonly CertificateExtension[]) => ({ extensions: context(0, extensionList(...list)) });
const number = some("2.5.29.20", integer(1));
const authority = (key: Uint8Array) => some("2.5.29.35", sequence(tlv(0x80, key)));

const refused: readonly { rule: string; parts: ListParts; says: RegExp }[] = [
  { rule: "more than 8 MiB", parts: { afterList: new Uint8Array(8 * 1024 * 1024) }, says: /at most 8388608/ },
  { rule: "bytes behind it", parts: { afterList: NULL }, says: /CRL: 2 bytes follow/ },
  { rule: "a fourth member", parts: { afterSignature: NULL }, says: /CRL: 2 bytes follow/ },
  { rule: "bytes behind its extensions", parts: { afterTbs: NULL }, says: /tbsCertList: 2 bytes follow/ },
  { rule: "version 3", parts: { version: integer(2) }, says: /version is not 2/ },
  { rule: "two signature algorithms", parts: { outerAlgorithm: sequence(objectIdentifier("1.2.3")) }, says: /signature algorithm differ/ },
  { rule: "extensions in version 1", parts: { version: NOTHING, ...extensions(number) }, says: /bytes follow/ },
  {
    rule: "two lists of extensions",
    parts: { extensions: context(0, extensionList(number), NULL) },
    says: /crlExtensions: 2 bytes follow/,
  },
  { rule: "a delta", parts: extensions(some("2.5.29.27", integer(1), true)), says: /critical extension 2\.5\.29\.27/ },
  { rule: "a number that is none", parts: extensions(some("2.5.29.20", octetString(NULL))), says: /cRLNumber has tag/ },
  { rule: "an authority that is none", parts: extensions(some("2.5.29.35", integer(1))), says: /authorityKeyIdentifier has tag/ },
  { rule: "an entry without a date", parts: { revoked: sequence(sequence(integer(5))) }, says: /revocationDate is missing/ },
  {
    rule: "an entry with more than extensions",
    parts: { revoked: sequence(entry(5, extensionList(number), NULL)) },
    says: /2 bytes follow/,
  },
  {
    ...{ rule: "an entry of another issuer's", says: /critical entry extension 2\.5\.29\.29/ },
    parts: { revoked: sequence(entry(5, extensionList(some("2.5.29.29", NULL, true)))) },
  },
];

for (const { rule, parts, says } of refused) {
  test(`RFC 5280 §5.1: a CRL is refused: ${rule}`, () => {
    assert.throws(() => parseRevocationList(mintList(parts)), { code: "EVIDENCE_MALFORMED", reason: "parse-error", message: says });
  });
}

test("lists of both versions are read, with entries that have extensions or none", () => {
  const list = parseRevocationList(mintList({ revoked: sequence(entry(5), entry(255, extensionList(some("2.5.29.21", NULL)))) }));
  assert.deepEqual([[...list.revoked], list.thisUpdate, list.nextUpdate], [["05".slice(1), "ff"], START.getTime(), END.getTime()]);
  assert.equal(parseRevocationList(mintList({ version: NOTHING })).revoked.size, 0);
  assert.equal(parseRevocationList(mintList({ nextUpdate: time(new Date("2051-01-01T00:00:00Z")) })).nextUpdate, Date.UTC(2051, 0, 1));
});

test("RFC 5280 §5.2: an issuer has to name its key and to number its lists", () => {
  const fault = (parts: ListParts) => findListFault(parseRevocationList(mintList(parts)));
  assert.equal(fault(extensions(number, authority(Buffer.of(1)))), undefined);
  assert.match(fault(extensions(number)) ?? "", /authority key identifier is missing/);
  assert.match(fault(extensions(authority(Buffer.of(1)))) ?? "", /CRL number is missing/);
});

const issue = (change: Partial<CertificateRequest> = {}) =>
  parseCertificate(
    issueCertificate({
      ...{ subject: "ca", issuer: "root", publicKey: createPublicKey(privateKey), issuerKey: privateKey, serial: 5n, isCa: true },
      ...{ notBefore: START, notAfter: END },
      ...change,
    }),
  );
const ca = issue();
const list = parseRevocationList(mintList({ revoked: sequence(entry(5)) }));

test("hazard A7: only the issuer's own key signs its list, when its certificate says that it may", () => {
  const own = parseRevocationList(mintList(extensions(authority(ca.subjectKeyIdentifier ?? NOTHING))));
  for (const issuer of [ca, { ...ca, keyUsage: undefined }, { ...ca, subjectKeyIdentifier: undefined }]) {
    assert.deepEqual([verifyRevocationList(list, issuer).issuer, verifyRevocationList(own, issuer).list], [issuer, own]);
  }
  const others = parseRevocationList(mintList(extensions(authority(Buffer.of(1)))));
  const unknown = { innerAlgorithm: sequence(objectIdentifier("1.2.3")), outerAlgorithm: sequence(objectIdentifier("1.2.3")) };
  const cases = [
    [list, issue({ subject: "other" }), "crl-mismatch", /is not issued by "CN=other"/],
    [others, ca, "crl-bad-signature", /names another key/],
    [list, issue({ isCa: false }), "crl-bad-signature", /may not sign CRLs/],
    [parseRevocationList(mintList(unknown)), ca, "crl-bad-signature", /unsupported algorithm 1\.2\.3/],
    [list, issue({ publicKey: createPublicKey(stranger) }), "crl-bad-signature", /is not signed by its issuer's key/],
  ] as const;
  for (const [given, issuer, reason, message] of cases) {
    assert.throws(() => verifyRevocationList(given, issuer), { code: "EVIDENCE_SIGNATURE", reason, message });
  }
});

test("hazard A7: a list counts from its first to its last instant, and needs one", () => {
  const verified = verifyRevocationList(list, ca);
  for (const now of [START, END]) assertRevocationListCurrent(verified, now.getTime());
  const stale = (given: typeof list, now: number, message: RegExp, found: string) =>
    assert.throws(() => assertRevocationListCurrent({ list: given, issuer: ca }, now), { reason: "crl-expired", message, found });
  stale(list, START.getTime() - 1, /starts on/, START.toISOString());
  stale(list, END.getTime() + 1, /ended on/, END.toISOString());
  stale(parseRevocationList(mintList({ nextUpdate: NOTHING })), START.getTime(), /does not say when/, "none");
  assert.deepEqual(
    [ca, issue({ serial: 6n })].map((certificate) => isRevokedBy(verified, certificate)),
    [true, false],
  );
});
