import { createHash, createPublicKey, type KeyObject, randomBytes, sign } from "node:crypto";
import { AsnConvert, OctetString } from "@peculiar/asn1-schema";
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  id_ce_subjectKeyIdentifier,
  id_kp_clientAuth,
  id_kp_serverAuth,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from "@peculiar/asn1-x509";

/** One certificate of the CAS's own chain (cas.md §3, C-7). Keys are P-256, signatures ecdsa-with-SHA256. */
export interface ChainCertificate {
  readonly commonName: string;
  readonly publicKey: KeyObject;
  /** The issuer's private key and common name; for a self-signed certificate its own. */
  readonly issuer: { readonly commonName: string; readonly privateKey: KeyObject };
  readonly isCa: boolean;
  /** Host names and IP addresses of an end entity. */
  readonly altNames?: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** End of CA certificates (C-7). */
export const CA_NOT_AFTER = new Date("4096-01-01T00:00:00Z");
const ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2";
const COMMON_NAME = "2.5.4.3";

/** Issues a certificate. Returns PEM. */
export function issueChainCertificate(wanted: ChainCertificate): string {
  const subjectSpki = spkiOf(wanted.publicKey);
  const algorithm = new AlgorithmIdentifier({ algorithm: ECDSA_WITH_SHA256 });
  const tbs = new TBSCertificate({
    version: Version.v3,
    serialNumber: serialNumber(),
    signature: algorithm,
    issuer: distinguishedName(wanted.issuer.commonName),
    validity: new Validity({ notBefore: wanted.notBefore, notAfter: wanted.notAfter }),
    subject: distinguishedName(wanted.commonName),
    subjectPublicKeyInfo: subjectSpki,
    extensions: new Extensions(extensions(wanted, subjectSpki)),
  });
  const signature = sign("sha256", Buffer.from(AsnConvert.serialize(tbs)), wanted.issuer.privateKey);
  const certificate = new Certificate({ tbsCertificate: tbs, signatureAlgorithm: algorithm, signatureValue: arrayBuffer(signature) });
  const base64 = Buffer.from(AsnConvert.serialize(certificate)).toString("base64");
  return `-----BEGIN CERTIFICATE-----\n${base64.replace(/.{64}(?=.)/g, "$&\n")}\n-----END CERTIFICATE-----\n`;
}

function extensions({ isCa, altNames, issuer }: ChainCertificate, subjectSpki: SubjectPublicKeyInfo): Extension[] {
  const issuerSpki = spkiOf(createPublicKey(issuer.privateKey.export({ type: "pkcs8", format: "pem" })));
  const usage = isCa ? KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign : KeyUsageFlags.digitalSignature;
  const list = [
    extension(id_ce_subjectKeyIdentifier, false, new SubjectKeyIdentifier(keyIdentifier(subjectSpki))),
    extension(
      id_ce_authorityKeyIdentifier,
      false,
      new AuthorityKeyIdentifier({ keyIdentifier: new KeyIdentifier(keyIdentifier(issuerSpki)) }),
    ),
    extension(id_ce_basicConstraints, true, new BasicConstraints({ cA: isCa })),
    extension(id_ce_keyUsage, true, new KeyUsage(usage)),
  ];
  if (isCa) return list;
  list.push(extension(id_ce_extKeyUsage, false, new ExtendedKeyUsage([id_kp_serverAuth, id_kp_clientAuth])));
  const names = (altNames ?? []).map((name) =>
    /^[0-9.]+$|:/.test(name) ? new GeneralName({ iPAddress: name }) : new GeneralName({ dNSName: name }),
  );
  if (names.length > 0) list.push(extension(id_ce_subjectAltName, false, new SubjectAlternativeName(names)));
  return list;
}

function extension(extnID: string, critical: boolean, value: unknown): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
}

function distinguishedName(commonName: string): Name {
  const value = new AttributeValue({ utf8String: commonName });
  return new Name([new RelativeDistinguishedName([new AttributeTypeAndValue({ type: COMMON_NAME, value })])]);
}

function spkiOf(publicKey: KeyObject): SubjectPublicKeyInfo {
  return AsnConvert.parse(publicKey.export({ type: "spki", format: "der" }), SubjectPublicKeyInfo);
}

/** SHA-1 of the public key bits, as RFC 5280 §4.2.1.2 proposes: a name, not a proof. */
function keyIdentifier(spki: SubjectPublicKeyInfo): ArrayBuffer {
  return arrayBuffer(createHash("sha1").update(Buffer.from(spki.subjectPublicKey)).digest());
}

/** Positive, 127 random bits (SL-131). */
function serialNumber(): ArrayBuffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40; // never zero in front, never negative
  return arrayBuffer(bytes);
}

function arrayBuffer(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}
