/** X.509 v3 certificates by the language's profile (SL-126…SL-133), accepted by strict verifiers. */
import { createHash, createPublicKey, type KeyObject, sign, X509Certificate } from "node:crypto";
import { type CertificateControl, encodePem, keyTypeOf, type SubjectAltName } from "@vouchsafe/policy";
import * as der from "./der.ts";
import { subjectAltNameValue } from "./general-names.ts";
import type { Randomness } from "./randomness.ts";

export interface CertificateRequest {
  readonly isCa: boolean;
  readonly commonName: string;
  readonly san: readonly SubjectAltName[];
  readonly endpoint: "server" | "client" | undefined;
  /** Undefined: until 4096-01-01. */
  readonly validForSeconds: number | undefined;
  readonly control: CertificateControl | undefined;
  /** Words for whoever looks at the certificate; no program is bound by them. */
  readonly comment?: string;
}

export interface Issuer {
  /** PEM of the CA certificate. */
  readonly certificate: string;
  readonly privateKey: KeyObject;
}

export interface IssuedCertificate {
  readonly pem: string;
  readonly notAfter: Date;
  /** Two thirds of the validity have passed (SL-134). */
  readonly renewAfter: Date;
  /** The issuer expires earlier than asked for (SL-133). */
  readonly shortened: boolean;
}

const END_OF_TIME = new Date("4096-01-01T00:00:00Z");
const CLOCK_SKEW_MS = 5 * 60 * 1000;

const OID = {
  commonName: "2.5.4.3",
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  nameConstraints: "2.5.29.30",
  authorityKeyIdentifier: "2.5.29.35",
  extKeyUsage: "2.5.29.37",
  /** Netscape Certificate Comment: every tool shows it. */
  comment: "2.16.840.1.113730.1.13",
} as const;

const ATTRIBUTE_OID = new Map([
  ["C", "2.5.4.6"],
  ["ST", "2.5.4.8"],
  ["L", "2.5.4.7"],
  ["O", "2.5.4.10"],
  ["OU", "2.5.4.11"],
]);

const EXT_KEY_USAGE_OID = new Map([
  ["serverAuth", "1.3.6.1.5.5.7.3.1"],
  ["clientAuth", "1.3.6.1.5.5.7.3.2"],
  ["codeSigning", "1.3.6.1.5.5.7.3.3"],
  ["emailProtection", "1.3.6.1.5.5.7.3.4"],
  ["timeStamping", "1.3.6.1.5.5.7.3.8"],
  ["OCSPSigning", "1.3.6.1.5.5.7.3.9"],
]);

const KEY_USAGE_BIT = new Map([
  ["digitalSignature", 0],
  ["nonRepudiation", 1],
  ["keyEncipherment", 2],
  ["dataEncipherment", 3],
  ["keyAgreement", 4],
  ["keyCertSign", 5],
  ["cRLSign", 6],
]);

interface SignatureScheme {
  readonly digest: "sha256" | "sha384" | "sha512" | null;
  readonly identifier: Uint8Array;
}

const scheme = (digest: SignatureScheme["digest"], oid: string, ...parameters: Uint8Array[]): SignatureScheme => ({
  digest,
  identifier: der.sequence(der.objectIdentifier(oid), ...parameters),
});

/** By the name of the issuer's key type (SL-131). */
const SCHEMES = new Map<string, SignatureScheme>([
  ["P-256", scheme("sha256", "1.2.840.10045.4.3.2")],
  ["P-384", scheme("sha384", "1.2.840.10045.4.3.3")],
  ["P-521", scheme("sha512", "1.2.840.10045.4.3.4")],
  ["Ed25519", scheme(null, "1.3.101.112")],
  ["ML-DSA-44", scheme(null, "2.16.840.1.101.3.4.3.17")],
  ["ML-DSA-65", scheme(null, "2.16.840.1.101.3.4.3.18")],
  ["ML-DSA-87", scheme(null, "2.16.840.1.101.3.4.3.19")],
]);
const RSA_SCHEME = scheme("sha256", "1.2.840.113549.1.1.11", der.nullValue);

function schemeOf(key: KeyObject): SignatureScheme {
  const name = keyTypeOf(key)?.name ?? "";
  const found = name.startsWith("RSA-") ? RSA_SCHEME : SCHEMES.get(name);
  if (found === undefined) throw new TypeError(`no certificate can be signed with a key of type ${key.asymmetricKeyType}`);
  return found;
}

/** SHA-1 of the public key bits (RFC 5280 §4.2.1.2, method 1). */
export function keyIdentifier(spki: Uint8Array): Uint8Array {
  const [outer] = der.elements(spki);
  const [, bits] = der.elements(outer?.content ?? new Uint8Array());
  return createHash("sha1")
    .update(bits?.content.subarray(1) ?? new Uint8Array())
    .digest();
}

interface IssuerIdentity {
  /** DER Name, byte for byte as in the issuer's certificate. */
  readonly name: Uint8Array;
  readonly keyIdentifier: Uint8Array;
  readonly notAfter: Date;
}

const identities = new Map<string, IssuerIdentity>();
const MAX_IDENTITIES = 256;

/** Parsed once per certificate: issuing is hot where instances get their own. */
function issuerIdentity(pem: string): IssuerIdentity {
  const known = identities.get(pem);
  if (known !== undefined) return known;
  const certificate = new X509Certificate(pem);
  const identity = {
    name: subjectOf(certificate.raw),
    keyIdentifier: subjectKeyIdentifierOf(certificate.raw) ?? keyIdentifier(certificate.publicKey.export({ type: "spki", format: "der" })),
    notAfter: new Date(certificate.validTo),
  };
  if (identities.size >= MAX_IDENTITIES) identities.clear();
  identities.set(pem, identity);
  return identity;
}

function tbsFields(raw: Uint8Array): der.DerElement[] {
  const [certificate] = der.elements(raw);
  const [tbs] = der.elements(certificate?.content ?? new Uint8Array());
  return der.elements(tbs?.content ?? new Uint8Array());
}

function subjectOf(raw: Uint8Array): Uint8Array {
  const fields = tbsFields(raw);
  // version is [0] and optional; then serial, algorithm, issuer, validity, subject
  const subject = fields[fields[0]?.tag === 0xa0 ? 5 : 4];
  if (subject === undefined) throw new RangeError("certificate without subject");
  return subject.whole;
}

function subjectKeyIdentifierOf(raw: Uint8Array): Uint8Array | undefined {
  const wanted = der.objectIdentifier(OID.subjectKeyIdentifier).toHex();
  const extensions = tbsFields(raw).find(({ tag }) => tag === 0xa3);
  const [list] = der.elements(extensions?.content ?? new Uint8Array());
  for (const extension of der.elements(list?.content ?? new Uint8Array())) {
    const parts = der.elements(extension.content);
    if (parts[0]?.whole.toHex() !== wanted) continue;
    const value = parts.at(-1);
    return value && der.elements(value.content)[0]?.content;
  }
  return undefined;
}

function subjectName(commonName: string, control: CertificateControl | undefined): Uint8Array {
  const attribute = (oid: string, value: Uint8Array) => der.setOf(der.sequence(der.objectIdentifier(oid), value));
  const others = (control?.subject ?? []).flatMap(({ attribute: name, value }) => {
    const oid = ATTRIBUTE_OID.get(name);
    return oid === undefined ? [] : [attribute(oid, name === "C" ? der.printableString(value) : der.utf8String(value))];
  });
  return der.sequence(...others, attribute(OID.commonName, der.utf8String(commonName)));
}

function extension(oid: string, critical: boolean, value: Uint8Array): Uint8Array {
  return der.sequence(der.objectIdentifier(oid), ...(critical ? [der.booleanTrue] : []), der.octetString(value));
}

function keyUsageValue(usages: readonly string[]): Uint8Array {
  let bits = 0;
  let highest = 0;
  for (const usage of usages) {
    const bit = KEY_USAGE_BIT.get(usage) ?? 0;
    bits |= 0x80 >> bit;
    highest = Math.max(highest, bit);
  }
  return der.bitString(Uint8Array.of(bits), 7 - highest);
}

function basicConstraintsValue(isCa: boolean, maxPathLength: number | undefined): Uint8Array {
  if (!isCa) return der.sequence();
  return der.sequence(der.booleanTrue, ...(maxPathLength === undefined ? [] : [der.smallInteger(maxPathLength)]));
}

function extensions(request: CertificateRequest, publicKey: KeyObject, ownId: Uint8Array, issuerId: Uint8Array | undefined): Uint8Array[] {
  const { isCa, endpoint, control } = request;
  // A key that encrypts keys does not go with a purpose of client authentication alone (RFC 5280 §4.2.1.12).
  const encrypts = publicKey.asymmetricKeyType === "rsa" && endpoint !== "client";
  const leafUsages = encrypts ? ["digitalSignature", "keyEncipherment"] : ["digitalSignature"];
  const usages = control?.keyUsage ?? (isCa ? ["keyCertSign", "cRLSign"] : leafUsages);
  const purposes = control?.extKeyUsage ?? (endpoint === undefined ? [] : [endpoint === "server" ? "serverAuth" : "clientAuth"]);
  const names: SubjectAltName[] = [...request.san, ...(control?.uris ?? []).map((value) => ({ kind: "uri", value }) as const)];
  const list = [
    extension(OID.basicConstraints, true, basicConstraintsValue(isCa, control?.maxPathLength)),
    extension(OID.keyUsage, true, keyUsageValue(usages)),
    extension(OID.subjectKeyIdentifier, false, der.octetString(ownId)),
  ];
  if (issuerId !== undefined) list.push(extension(OID.authorityKeyIdentifier, false, der.sequence(der.implicit(0, issuerId))));
  if (purposes.length > 0) {
    const oids = purposes.flatMap((purpose) => EXT_KEY_USAGE_OID.get(purpose) ?? []);
    list.push(extension(OID.extKeyUsage, false, der.sequence(...oids.map(der.objectIdentifier))));
  }
  if (names.length > 0) list.push(extension(OID.subjectAltName, false, subjectAltNameValue(names)));
  if (control !== undefined && control.permittedDns.length > 0) {
    const subtrees = control.permittedDns.map((domain) => der.sequence(der.implicit(2, der.ia5(domain))));
    list.push(extension(OID.nameConstraints, true, der.sequence(der.tlv(0xa0, ...subtrees))));
  }
  if (request.comment !== undefined) list.push(extension(OID.comment, false, der.tlv(0x16, der.ia5(request.comment))));
  return list;
}

/** Random, positive, 127 bits (SL-131); the top bit is set so that every serial has the same length. */
function serialNumber({ bytes }: Randomness): Uint8Array {
  const serial = Uint8Array.from(bytes(16));
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return der.integer(serial);
}

/**
 * Issues a certificate for `publicKey`; without `issuer` it is signed by `ownKey`, the private half (self-signed).
 * Proves nothing about the requester: whoever calls has decided. Throws `TypeError` for key types that cannot sign certificates.
 */
export function issueCertificate(
  request: CertificateRequest,
  keys: { readonly publicKey: KeyObject; readonly issuer: Issuer } | { readonly ownKey: KeyObject },
  { now, random }: { readonly now: Date; readonly random: Randomness },
): IssuedCertificate {
  const issuer = "issuer" in keys ? keys.issuer : undefined;
  const publicKey = "issuer" in keys ? keys.publicKey : createPublicKey(keys.ownKey);
  const signingKey = "issuer" in keys ? keys.issuer.privateKey : keys.ownKey;
  const identity = issuer && issuerIdentity(issuer.certificate);
  const { identifier, digest } = schemeOf(signingKey);
  const spki = publicKey.export({ type: "spki", format: "der" });
  const subject = subjectName(request.commonName, request.control);
  const issuedAt = new Date(Math.floor(now.getTime() / 1000) * 1000);
  const wanted = wantedEnd(request, issuedAt);
  const shortened = identity !== undefined && identity.notAfter < wanted;
  const notAfter = shortened ? identity.notAfter : wanted;
  const tbs = der.sequence(
    der.explicit(0, der.smallInteger(2)),
    serialNumber(random),
    identifier,
    identity?.name ?? subject,
    der.sequence(der.time(new Date(issuedAt.getTime() - CLOCK_SKEW_MS)), der.time(notAfter)),
    subject,
    spki,
    der.explicit(3, der.sequence(...extensions(request, publicKey, keyIdentifier(spki), identity?.keyIdentifier))),
  );
  const certificate = der.sequence(tbs, identifier, der.bitString(sign(digest, tbs, signingKey)));
  const renewAfter = new Date(issuedAt.getTime() + ((notAfter.getTime() - issuedAt.getTime()) * 2) / 3);
  return { pem: encodePem("CERTIFICATE", certificate), notAfter, renewAfter, shortened };
}

function wantedEnd({ validForSeconds, control }: CertificateRequest, issuedAt: Date): Date {
  if (control?.notAfter !== undefined) return new Date(control.notAfter);
  if (validForSeconds === undefined) return END_OF_TIME;
  return new Date(Math.min(issuedAt.getTime() + validForSeconds * 1000, END_OF_TIME.getTime()));
}
