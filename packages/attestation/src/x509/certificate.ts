import { decodeAscii, isSameBytes } from "../core/bytes.ts";
import { EvidenceError } from "../core/errors.ts";
import type { PublicKey } from "../crypto/crypto-provider.ts";
import { isUsableKey } from "../crypto/current-provider.ts";
import { DER, DerReader } from "./der-reader.ts";
import { type DistinguishedName, isSameName, readDistinguishedName } from "./distinguished-name.ts";
import {
  type AuthorityKeyIdentifier,
  type BasicConstraints,
  EXTENSION,
  type Extension,
  type KeyUsage,
  type NameConstraints,
  type PolicyConstraints,
  type PolicyMapping,
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
import type { GeneralName } from "./general-name.ts";
import { type AlgorithmIdentifier, readCertificateKey, readSignatureAlgorithm } from "./signature-scheme.ts";

/** An X.509 certificate taken apart (RFC 5280 §4.1): nothing is verified. Byte fields are views into `der`. */
export interface Certificate {
  readonly der: Uint8Array;
  /** TBSCertificate as it stands: what the issuer signed. */
  readonly signedBytes: Uint8Array;
  readonly version: number;
  /** Two's complement, big-endian. */
  readonly serialNumber: Uint8Array;
  readonly signatureAlgorithm: AlgorithmIdentifier;
  readonly signature: Uint8Array;
  readonly issuer: DistinguishedName;
  readonly subject: DistinguishedName;
  /** Milliseconds since 1970; both ends belong to the validity. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** DER SubjectPublicKeyInfo. */
  readonly publicKeyInfo: Uint8Array;
  readonly extensions: ReadonlyMap<string, Extension>;
  readonly basicConstraints: BasicConstraints | undefined;
  readonly keyUsage: ReadonlySet<KeyUsage> | undefined;
  readonly extKeyUsage: ReadonlySet<string> | undefined;
  readonly subjectAltNames: readonly GeneralName[] | undefined;
  readonly nameConstraints: NameConstraints | undefined;
  readonly authorityKeyIdentifier: AuthorityKeyIdentifier | undefined;
  readonly subjectKeyIdentifier: Uint8Array | undefined;
  readonly policies: ReadonlySet<string> | undefined;
  readonly policyMappings: readonly PolicyMapping[] | undefined;
  readonly policyConstraints: PolicyConstraints | undefined;
  readonly inhibitAnyPolicy: number | undefined;
}

const CERTIFICATE_MAX_BYTES = 256 * 1024;
const SERIAL_MAX_BYTES = 64;
const PEM_MAX_CERTIFICATES = 16;

const malformed = (detail: string) => new EvidenceError("EVIDENCE_MALFORMED", `certificate: ${detail}`, { reason: "parse-error" });

/** Takes a DER certificate apart, known extensions included. Proves nothing. Throws EVIDENCE_MALFORMED. */
export function parseCertificate(der: Uint8Array): Certificate {
  if (der.length > CERTIFICATE_MAX_BYTES) throw malformed(`${der.length} bytes, at most ${CERTIFICATE_MAX_BYTES} allowed`);
  const document = new DerReader(der, "certificate", malformed);
  const outer = document.open(DER.sequence, "certificate");
  document.finish();
  const tbs = outer.value(DER.sequence, "tbsCertificate");
  const signatureAlgorithm = readSignatureAlgorithm(outer, "signatureAlgorithm");
  const signature = outer.byteString("signature");
  outer.finish();

  const body = outer.within(tbs.content, "tbsCertificate");
  const version = readVersion(body);
  const serialNumber = body.integer("serialNumber");
  if (serialNumber.length > SERIAL_MAX_BYTES) throw malformed(`a serial number of ${serialNumber.length} bytes`);
  const innerAlgorithm = readSignatureAlgorithm(body, "signature algorithm");
  if (!isSameBytes(innerAlgorithm.bytes, signatureAlgorithm.bytes)) throw malformed("signed and outer signature algorithm differ");
  const issuer = readDistinguishedName(body, "issuer");
  const validity = body.open(DER.sequence, "validity");
  const notBefore = validity.time("notBefore");
  const notAfter = validity.time("notAfter");
  validity.finish();
  const subject = readDistinguishedName(body, "subject");
  const publicKeyInfo = body.value(DER.sequence, "subjectPublicKeyInfo").bytes;
  if (version >= 2) {
    body.optional(0x81, "issuerUniqueID");
    body.optional(0x82, "subjectUniqueID");
  }
  const wrapped = version === 3 ? body.openOptional(0xa3, "extensions") : undefined;
  const extensions = wrapped === undefined ? new Map<string, Extension>() : readExtensions(wrapped);
  wrapped?.finish();
  body.finish();
  return {
    der,
    signedBytes: tbs.bytes,
    version,
    serialNumber,
    signatureAlgorithm,
    signature,
    issuer,
    subject,
    notBefore,
    notAfter,
    publicKeyInfo,
    extensions,
    ...readKnownExtensions(extensions),
  };
}

function readVersion(body: DerReader): number {
  const wrapped = body.openOptional(0xa0, "version");
  if (wrapped === undefined) return 1;
  const version = wrapped.smallInteger("version") + 1;
  wrapped.finish();
  if (version !== 2 && version !== 3) throw malformed(`version ${version}`);
  return version;
}

function readKnownExtensions(extensions: ReadonlyMap<string, Extension>) {
  const read = <T>(oid: string, reader: (reader: DerReader) => T) => readExtension(extensions.get(oid), malformed, reader);
  read(EXTENSION.issuerAltName, readAltNames);
  read(EXTENSION.authorityInfoAccess, readInfoAccess);
  read(EXTENSION.subjectInfoAccess, readInfoAccess);
  return {
    basicConstraints: read(EXTENSION.basicConstraints, readBasicConstraints),
    keyUsage: read(EXTENSION.keyUsage, readKeyUsage),
    extKeyUsage: read(EXTENSION.extKeyUsage, readExtKeyUsage),
    subjectAltNames: read(EXTENSION.subjectAltName, readAltNames),
    nameConstraints: read(EXTENSION.nameConstraints, readNameConstraints),
    authorityKeyIdentifier: read(EXTENSION.authorityKeyIdentifier, readAuthorityKeyIdentifier),
    subjectKeyIdentifier: read(EXTENSION.subjectKeyIdentifier, (reader) => reader.octetString("subjectKeyIdentifier")),
    policies: read(EXTENSION.certificatePolicies, readCertificatePolicies),
    policyMappings: read(EXTENSION.policyMappings, readPolicyMappings),
    policyConstraints: read(EXTENSION.policyConstraints, readPolicyConstraints),
    inhibitAnyPolicy: read(EXTENSION.inhibitAnyPolicy, (reader) => reader.smallInteger("inhibitAnyPolicy")),
  };
}

export const isSelfIssued = (certificate: Certificate): boolean => isSameName(certificate.issuer, certificate.subject);

/** Lower-case hex of the serial number without leading zeros. */
export const serialNumberHex = (serialNumber: Uint8Array): string => serialNumber.toHex().replace(/^0+(?=.)/, "");

/** Read once for each parsed certificate: providers import a key once, and importing costs as much as a signature check. */
const knownKeys = new WeakMap<Certificate, PublicKey>();

/** The certificate's key. Throws EVIDENCE_SIGNATURE (`bad-chain`) for a key that is too weak, of another kind, or no point of its curve. */
export function publicKeyOf(certificate: Certificate): PublicKey {
  const known = knownKeys.get(certificate);
  if (known !== undefined) return known;
  const key = readCertificateKey(certificate.publicKeyInfo, malformed);
  const fault = typeof key === "string" ? key : isUsableKey(key) ? undefined : "cannot be imported";
  if (typeof key === "string" || fault !== undefined) {
    throw new EvidenceError("EVIDENCE_SIGNATURE", `certificate: its public key ${fault}`, { reason: "bad-chain" });
  }
  knownKeys.set(certificate, key);
  return key;
}

/**
 * Certificates of a PEM text in their order. Between and around the blocks only white space may stand, and zero bytes at the end, as quoting
 * libraries write them: one chain has one spelling. Throws EVIDENCE_MALFORMED, also when there is no certificate.
 */
export function parsePemCertificates(pem: Uint8Array): readonly Certificate[] {
  const blocks = splitPem(pem);
  if (blocks.length === 0) throw malformed("no PEM certificate found");
  return blocks.map(parseCertificate);
}

/** DER certificates inside a PEM text. */
export function splitPem(pem: Uint8Array): readonly Uint8Array[] {
  const text = decodeAscii(pem);
  const blocks: Uint8Array[] = [];
  const BEGIN = "-----BEGIN CERTIFICATE-----";
  const END = "-----END CERTIFICATE-----";
  let at = text.indexOf(BEGIN);
  let last = 0;
  while (at >= 0) {
    assertBlank(text.slice(last, at));
    const end = text.indexOf(END, at);
    if (end < 0) throw malformed("a PEM block does not end");
    if (blocks.length >= PEM_MAX_CERTIFICATES) throw malformed(`more than ${PEM_MAX_CERTIFICATES} PEM certificates`);
    blocks.push(decodePemBody(text.slice(at + BEGIN.length, end)));
    last = end + END.length;
    at = text.indexOf(BEGIN, last);
  }
  assertBlank(text.slice(last));
  return blocks;
}

function assertBlank(text: string): void {
  if (!/^[ \t\r\n\0]*$/.test(text)) throw malformed("text outside the PEM blocks");
}

function decodePemBody(body: string): Uint8Array {
  try {
    return Uint8Array.fromBase64(body, { lastChunkHandling: "strict" });
  } catch (cause) {
    throw new EvidenceError("EVIDENCE_MALFORMED", "certificate: a PEM block is not base64", { reason: "parse-error", cause });
  }
}
