import { generateKeyPairSync, sign } from "node:crypto";
import { concat } from "../core/bytes.ts";
import { type Certificate, parseCertificate } from "../x509/certificate.ts";
import { DerReader } from "../x509/der-reader.ts";
import {
  bitString,
  boolean,
  context,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  time,
  tlv,
  utf8String,
} from "../x509/der-writer.ts";
import { type DistinguishedName, readDistinguishedName } from "../x509/distinguished-name.ts";
import { type CertificateExtension, issueCertificate } from "../x509/issue-certificate.ts";

/** DER of each part of a certificate. Left out: one that can be read. Empty: the part is missing. */
export interface CertificateParts {
  readonly version?: Uint8Array;
  readonly serialNumber?: Uint8Array;
  readonly innerAlgorithm?: Uint8Array;
  readonly issuer?: Uint8Array;
  readonly validity?: Uint8Array;
  readonly subject?: Uint8Array;
  readonly publicKeyInfo?: Uint8Array;
  /** Unique identifiers. */
  readonly afterKey?: Uint8Array;
  readonly extensions?: Uint8Array;
  /** What follows the last part of the signed ones, those of the certificate, and the certificate. */
  readonly afterTbs?: Uint8Array;
  readonly afterSignature?: Uint8Array;
  readonly afterCertificate?: Uint8Array;
  readonly outerAlgorithm?: Uint8Array;
  readonly signature?: Uint8Array;
}

export const NOTHING: Uint8Array = new Uint8Array(0);
export const ECDSA_SHA256: Uint8Array = sequence(objectIdentifier("1.2.840.10045.4.3.2"));
const VALIDITY = sequence(time(new Date("2026-01-01T00:00:00Z")), time(new Date("2027-01-01T00:00:00Z")));
const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const PUBLIC_KEY_INFO = publicKey.export({ type: "spki", format: "der" });

/** A certificate that may be malformed in any part; one key stands for subject and issuer. */
export function mintCertificate(parts: CertificateParts = {}): Uint8Array {
  const tbs = sequence(
    parts.version ?? context(0, integer(2)),
    parts.serialNumber ?? integer(1),
    parts.innerAlgorithm ?? ECDSA_SHA256,
    parts.issuer ?? nameDer("issuer"),
    parts.validity ?? VALIDITY,
    parts.subject ?? nameDer("subject"),
    parts.publicKeyInfo ?? PUBLIC_KEY_INFO,
    parts.afterKey ?? NOTHING,
    parts.extensions ?? NOTHING,
    parts.afterTbs ?? NOTHING,
  );
  const signature = parts.signature ?? bitString(sign("sha256", tbs, privateKey));
  return concat(
    sequence(tbs, parts.outerAlgorithm ?? ECDSA_SHA256, signature, parts.afterSignature ?? NOTHING),
    parts.afterCertificate ?? NOTHING,
  );
}

/** Taken apart, with these extensions. */
export const certificateWith = (parts: CertificateParts, ...extensions: readonly CertificateExtension[]): Certificate =>
  parseCertificate(
    mintCertificate({ ...parts, ...(extensions.length > 0 ? { extensions: context(3, extensionList(...extensions)) } : {}) }),
  );

export const extensionList = (...extensions: readonly CertificateExtension[]): Uint8Array =>
  sequence(
    ...extensions.map(({ oid, critical, value }) =>
      sequence(objectIdentifier(oid), ...(critical ? [boolean(true)] : []), octetString(value)),
    ),
  );

/** One relative name for each common name. */
export const nameDer = (...commonNames: readonly string[]): Uint8Array =>
  sequence(...commonNames.map((text) => relativeName(attribute("2.5.4.3", utf8String(text)))));
export const relativeName = (...attributes: readonly Uint8Array[]): Uint8Array => tlv(0x31, ...attributes);
export const attribute = (oid: string, value: Uint8Array): Uint8Array => sequence(objectIdentifier(oid), value);

export const readName = (der: Uint8Array): DistinguishedName =>
  readDistinguishedName(new DerReader(der, "test", (detail) => new RangeError(detail)), "name");

/** Extensions in which attested TLS certificates carry evidence: Intel's for quotes, that of the TCG's DICE for tagged evidence. */
export const [INTEL_QUOTE, TAGGED_EVIDENCE] = ["1.2.840.113741.1337.6", "2.23.133.5.4.9"];

const enclaveKey = generateKeyPairSync("ec", { namedCurve: "P-256" });

/** A self-signed certificate with one extension, as a program makes for its TLS. */
export const certificateCarrying = (oid: string, value: Uint8Array): Uint8Array =>
  issueCertificate({
    ...{
      subject: "enclave",
      issuer: "enclave",
      publicKey: enclaveKey.publicKey,
      issuerKey: enclaveKey.privateKey,
      serial: 1n,
      isCa: false,
    },
    ...{ notBefore: new Date(0), notAfter: new Date(1e12), extensions: [{ oid, critical: false, value }] },
  });
