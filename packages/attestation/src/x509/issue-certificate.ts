import { constants, createPublicKey, hash, type KeyObject, sign } from "node:crypto";
import { bitString, boolean, context, integer, objectIdentifier, octetString, sequence, time, tlv, utf8String } from "./der-writer.ts";

export interface CertificateExtension {
  readonly oid: string;
  readonly critical: boolean;
  readonly value: Uint8Array;
}

export interface CertificateRequest {
  readonly subject: string;
  readonly issuer: string;
  readonly publicKey: KeyObject;
  readonly issuerKey: KeyObject;
  readonly serial: bigint;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly isCa: boolean;
  /** Organisation in the names of subject and issuer. */
  readonly organization?: string;
  readonly extensions?: readonly CertificateExtension[];
}

const KEY_CERT_SIGN_CRL_SIGN = bitString(Uint8Array.of(0x06), 1);
const DIGITAL_SIGNATURE = bitString(Uint8Array.of(0x80), 7);
const SHA384 = sequence(objectIdentifier("2.16.840.1.101.3.4.2.2"));

/** Issues an X.509 v3 certificate (RFC 5280) for an authority of this house: one of a CAS, a development root, a test; returns DER. Issuer keys: P-256, P-384, RSA (PSS with SHA-384, as AMD signs). */
export function issueCertificate(request: CertificateRequest): Uint8Array {
  const scheme = signatureScheme(request.issuerKey);
  const extensions: CertificateExtension[] = [
    { oid: "2.5.29.19", critical: true, value: sequence(...(request.isCa ? [boolean(true)] : [])) },
    { oid: "2.5.29.15", critical: true, value: request.isCa ? KEY_CERT_SIGN_CRL_SIGN : DIGITAL_SIGNATURE },
    { oid: "2.5.29.14", critical: false, value: octetString(keyIdentifier(request.publicKey)) },
    { oid: "2.5.29.35", critical: false, value: sequence(tlv(0x80, keyIdentifier(createPublicKey(request.issuerKey)))) },
    ...(request.extensions ?? []),
  ];
  const body = sequence(
    context(0, integer(2)),
    integer(request.serial),
    scheme.identifier,
    name(request.issuer, request.organization),
    sequence(time(request.notBefore), time(request.notAfter)),
    name(request.subject, request.organization),
    request.publicKey.export({ type: "spki", format: "der" }),
    context(3, sequence(...extensions.map(encodeExtension))),
  );
  return sequence(body, scheme.identifier, bitString(scheme.sign(body)));
}

export interface RevocationListRequest {
  readonly issuer: string;
  readonly issuerKey: KeyObject;
  readonly organization?: string;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  readonly revoked: readonly { readonly serial: bigint; readonly at: Date }[];
}

/** Issues an X.509 v2 CRL; returns DER. */
export function issueRevocationList(request: RevocationListRequest): Uint8Array {
  const scheme = signatureScheme(request.issuerKey);
  const revoked = request.revoked.map(({ serial, at }) => sequence(integer(serial), time(at)));
  const extensions = [
    { oid: "2.5.29.35", critical: false, value: sequence(tlv(0x80, keyIdentifier(createPublicKey(request.issuerKey)))) },
    { oid: "2.5.29.20", critical: false, value: integer(1) },
  ];
  const body = sequence(
    integer(1),
    scheme.identifier,
    name(request.issuer, request.organization),
    time(request.thisUpdate),
    time(request.nextUpdate),
    ...(revoked.length > 0 ? [sequence(...revoked)] : []),
    context(0, sequence(...extensions.map(encodeExtension))),
  );
  return sequence(body, scheme.identifier, bitString(scheme.sign(body)));
}

export const certificatePem = (der: Uint8Array): string =>
  `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString("base64").replace(/.{64}/g, "$&\n").trimEnd()}\n-----END CERTIFICATE-----\n`;

interface SignatureScheme {
  readonly identifier: Uint8Array;
  readonly sign: (bytes: Uint8Array) => Uint8Array;
}

function signatureScheme(key: KeyObject): SignatureScheme {
  if (key.asymmetricKeyType === "rsa") {
    const parameters = sequence(
      context(0, SHA384),
      context(1, sequence(objectIdentifier("1.2.840.113549.1.1.8"), SHA384)),
      context(2, integer(48)),
    );
    return {
      identifier: sequence(objectIdentifier("1.2.840.113549.1.1.10"), parameters),
      sign: (bytes) => sign("sha384", bytes, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 48 }),
    };
  }
  const isP256 = key.asymmetricKeyDetails?.namedCurve === "prime256v1";
  if (!isP256 && key.asymmetricKeyDetails?.namedCurve !== "secp384r1") throw new TypeError("issuers have P-256, P-384 or RSA keys");
  return {
    identifier: sequence(objectIdentifier(isP256 ? "1.2.840.10045.4.3.2" : "1.2.840.10045.4.3.3")),
    sign: (bytes) => sign(isP256 ? "sha256" : "sha384", bytes, key),
  };
}

function encodeExtension({ oid, critical, value }: CertificateExtension): Uint8Array {
  return sequence(objectIdentifier(oid), ...(critical ? [boolean(true)] : []), octetString(value));
}

const name = (commonName: string, organization?: string): Uint8Array =>
  sequence(...(organization === undefined ? [] : [attribute("2.5.4.10", organization)]), attribute("2.5.4.3", commonName));
const attribute = (oid: string, value: string): Uint8Array => tlv(0x31, sequence(objectIdentifier(oid), utf8String(value)));
const keyIdentifier = (key: KeyObject): Uint8Array => hash("sha256", key.export({ type: "spki", format: "der" }), "buffer").subarray(0, 20);
