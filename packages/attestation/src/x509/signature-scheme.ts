import type { PublicKey, SignatureScheme } from "../crypto/crypto-provider.ts";
import { DER, DerReader } from "./der-reader.ts";
import { bitLength, isUncompressedPoint, NAMED_CURVES, readRsaKey, splitPublicKey } from "./public-key.ts";
import { isRocaModulus } from "./rsa-modulus.ts";

type Digest = "sha256" | "sha384" | "sha512";

/**
 * Algorithms that a signature on a certificate or list may have. Everything else is refused: SHA-1, MD5, DSA, and below short RSA keys, curves
 * other than the two that vendors use, explicit curve parameters.
 */
const SCHEMES = new Map<string, SignatureScheme>([
  ["1.2.840.10045.4.3.2", { kind: "ecdsa", digest: "sha256", encoding: "der" }],
  ["1.2.840.10045.4.3.3", { kind: "ecdsa", digest: "sha384", encoding: "der" }],
  ["1.2.840.10045.4.3.4", { kind: "ecdsa", digest: "sha512", encoding: "der" }],
  ["1.2.840.113549.1.1.11", { kind: "rsa-pkcs1", digest: "sha256" }],
  ["1.2.840.113549.1.1.12", { kind: "rsa-pkcs1", digest: "sha384" }],
  ["1.2.840.113549.1.1.13", { kind: "rsa-pkcs1", digest: "sha512" }],
  ["1.3.101.112", { kind: "eddsa" }],
]);
const RSA_PSS = "1.2.840.113549.1.1.10";
const MGF1 = "1.2.840.113549.1.1.8";
const DIGESTS = new Map<string, Digest>([
  ["2.16.840.1.101.3.4.2.1", "sha256"],
  ["2.16.840.1.101.3.4.2.2", "sha384"],
  ["2.16.840.1.101.3.4.2.3", "sha512"],
]);
const EC_PUBLIC_KEY = "1.2.840.10045.2.1";
const RSA_PUBLIC_KEY = "1.2.840.113549.1.1.1";
const ED25519 = "1.3.101.112";
const VENDOR_CURVES: readonly string[] = ["P-256", "P-384"];
const RSA_BITS_MIN = 2048;
const RSA_BITS_MAX = 8192;
const EXPONENT_MAX_BYTES = 4;

export interface AlgorithmIdentifier {
  readonly oid: string;
  readonly bytes: Uint8Array;
  /** Undefined: not one of the schemes above. */
  readonly scheme: SignatureScheme | undefined;
}

/** Reads a signature's AlgorithmIdentifier. Unknown algorithms and parameters give no scheme; bytes that are not one are an error. */
export function readSignatureAlgorithm(outer: DerReader, field: string): AlgorithmIdentifier {
  const { bytes, content } = outer.value(DER.sequence, field);
  const reader = outer.within(content, field);
  const oid = reader.oid("algorithm");
  const parameters = reader.isDone ? undefined : reader.any("parameters");
  reader.finish();
  const scheme = SCHEMES.get(oid);
  if (oid === RSA_PSS && parameters?.tag === DER.sequence) {
    return { oid, bytes, scheme: readPssParameters(reader.within(parameters.content, "RSA-PSS parameters")) };
  }
  // RSA has NULL parameters, the others have none (RFC 4055 §5, RFC 5758 §3.2, RFC 8410 §3).
  const isNull = parameters?.tag === DER.null && parameters.content.length === 0;
  const isFitting = scheme?.kind === "rsa-pkcs1" ? isNull : parameters === undefined;
  return { oid, bytes, scheme: isFitting ? scheme : undefined };
}

/** RFC 4055 §3.1: one digest for message and mask, salt as long as the digest. */
function readPssParameters(reader: DerReader): SignatureScheme | undefined {
  const digestOf = (outer: DerReader): Digest | undefined => {
    const identifier = outer.open(DER.sequence, "digest");
    const digest = DIGESTS.get(identifier.oid("digest"));
    if (!identifier.isDone) identifier.value(DER.null, "digest parameters");
    identifier.finish();
    return digest;
  };
  const hashReader = reader.openOptional(0xa0, "hashAlgorithm");
  const digest = hashReader && digestOf(hashReader);
  const maskReader = reader.openOptional(0xa1, "maskGenAlgorithm")?.open(DER.sequence, "maskGenAlgorithm");
  const isMgf1 = maskReader?.oid("mask generation") === MGF1;
  const maskDigest = maskReader && digestOf(maskReader);
  const saltBytes = reader.openOptional(0xa2, "saltLength")?.smallInteger("saltLength");
  const trailer = reader.openOptional(0xa3, "trailerField")?.smallInteger("trailerField") ?? 1;
  reader.finish();
  if (digest === undefined || maskDigest !== digest || !isMgf1 || trailer !== 1 || saltBytes === undefined) return undefined;
  return { kind: "rsa-pss", digest, saltBytes };
}

/**
 * The key of a DER SubjectPublicKeyInfo, if it is one that may certify or sign Evidence; otherwise what is wrong with it. Throws what
 * `malformed` makes for bad DER. Whether a point lies on its curve is left to `isUsableKey`.
 */
export function readCertificateKey(spki: Uint8Array, malformed: (detail: string) => Error): PublicKey | string {
  const { oid, parameters, key } = splitPublicKey(spki, malformed);
  switch (oid) {
    case EC_PUBLIC_KEY: {
      if (parameters?.tag !== DER.oid) return "does not name its curve";
      const curveOid = new DerReader(parameters.bytes, "curve", malformed).oid("curve");
      const curve = NAMED_CURVES.get(curveOid);
      if (curve === undefined || !VENDOR_CURVES.includes(curve)) return `is on the curve ${curveOid}`;
      return isUncompressedPoint(curve, key) ? { kind: "ec", curve, spki } : "is not an uncompressed point";
    }
    case RSA_PUBLIC_KEY:
      return readCertificateRsaKey(spki, key, malformed);
    case ED25519:
      return key.length === 32 && parameters === undefined ? { kind: "ed25519", spki } : "is not an Ed25519 key";
    default:
      return `is of the kind ${oid}`;
  }
}

function readCertificateRsaKey(spki: Uint8Array, key: Uint8Array, malformed: (detail: string) => Error): PublicKey | string {
  const { modulus, exponent } = readRsaKey(key, malformed);
  const bits = bitLength(modulus);
  if ((modulus[0] ?? 0) >= 0x80 || bits < RSA_BITS_MIN || bits > RSA_BITS_MAX || bits % 8 !== 0) return `is an RSA key of ${bits} bits`;
  if (isRocaModulus(BigInt(`0x${modulus.toHex()}`))) return "is an RSA key that can be factored (CVE-2017-15361)";
  const isFitting = exponent.length <= EXPONENT_MAX_BYTES && (exponent[0] ?? 0) < 0x80 && isExponentFit(exponent);
  return isFitting ? { kind: "rsa", modulusBits: bits, spki } : "is an RSA key with a small, huge or even exponent";
}

function isExponentFit(exponent: Uint8Array): boolean {
  const value = exponent.reduce((sum, octet) => sum * 256 + octet, 0);
  return value >= 65537 && value % 2 === 1;
}
