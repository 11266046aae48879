import { constants, createPublicKey, type KeyObject, verify } from "node:crypto";
import { DER, type DerReader, DerReader as Reader } from "./der-reader.ts";
import { isRocaModulus } from "./rsa-modulus.ts";

/**
 * Algorithms and keys that a signature on Evidence or a certificate may have. Everything else is refused: SHA-1, MD5, DSA, short RSA keys,
 * curves other than the two that vendors use, explicit curve parameters.
 */
export type SignatureScheme =
  | { readonly kind: "ecdsa" | "rsa-pkcs1"; readonly digest: Digest }
  | { readonly kind: "rsa-pss"; readonly digest: Digest; readonly saltBytes: number }
  | { readonly kind: "eddsa" };

type Digest = "sha256" | "sha384" | "sha512";

const SCHEMES = new Map<string, SignatureScheme>([
  ["1.2.840.10045.4.3.2", { kind: "ecdsa", digest: "sha256" }],
  ["1.2.840.10045.4.3.3", { kind: "ecdsa", digest: "sha384" }],
  ["1.2.840.10045.4.3.4", { kind: "ecdsa", digest: "sha512" }],
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
/** Named curve → bytes of a coordinate. */
const CURVES = new Map([
  ["1.2.840.10045.3.1.7", 32],
  ["1.3.132.0.34", 48],
]);
const RSA_BITS_MIN = 2048;
const RSA_BITS_MAX = 8192;

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

/** Why a DER SubjectPublicKeyInfo holds no key that we accept; undefined when it does. Throws what `malformed` makes for bad DER. */
export function findKeyFault(spki: Uint8Array, malformed: (detail: string) => Error): string | undefined {
  const outer = new Reader(spki, "subjectPublicKeyInfo", malformed);
  const reader = outer.open(DER.sequence, "subjectPublicKeyInfo");
  outer.finish();
  const algorithm = reader.open(DER.sequence, "key algorithm");
  const oid = algorithm.oid("key algorithm");
  const parameters = algorithm.isDone ? undefined : algorithm.any("key parameters");
  algorithm.finish();
  const key = reader.byteString("public key");
  reader.finish();
  switch (oid) {
    case EC_PUBLIC_KEY:
      return findCurveFault(reader, parameters, key);
    case RSA_PUBLIC_KEY:
      return findRsaFault(reader, key);
    case ED25519:
      return key.length === 32 && parameters === undefined ? undefined : "is not an Ed25519 key";
    default:
      return `is of the kind ${oid}`;
  }
}

function findCurveFault(reader: DerReader, parameters: { readonly tag: number; readonly bytes: Uint8Array } | undefined, key: Uint8Array) {
  if (parameters?.tag !== DER.oid) return "does not name its curve";
  const curve = reader.within(parameters.bytes, "curve").oid("curve");
  const coordinateBytes = CURVES.get(curve);
  if (coordinateBytes === undefined) return `is on the curve ${curve}`;
  return key.length === 1 + 2 * coordinateBytes && key[0] === 4 ? undefined : "is not an uncompressed point";
}

function findRsaFault(outer: DerReader, key: Uint8Array): string | undefined {
  const list = outer.within(key, "RSA public key");
  const reader = list.open(DER.sequence, "RSA public key");
  list.finish();
  const modulus = reader.integer("modulus");
  const exponent = reader.smallInteger("exponent");
  reader.finish();
  const significant = modulus[0] === 0 ? modulus.subarray(1) : modulus;
  const bits = significant.length * 8 - Math.clz32(significant[0] ?? 0) + 24;
  if ((modulus[0] ?? 0) >= 0x80 || bits < RSA_BITS_MIN || bits > RSA_BITS_MAX || bits % 8 !== 0) return `is an RSA key of ${bits} bits`;
  if (isRocaModulus(BigInt(`0x${Buffer.from(significant).toString("hex")}`))) return "is an RSA key that can be factored (CVE-2017-15361)";
  return exponent >= 65537 && exponent % 2 === 1 ? undefined : "is an RSA key with a small or even exponent";
}

/** Imports a key that `findKeyFault` accepts; undefined when it is not one, also when a point is not on its curve. */
export function importPublicKey(spki: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey({ key: Buffer.from(spki.buffer, spki.byteOffset, spki.length), format: "der", type: "spki" });
  } catch {
    return undefined; // OpenSSL checks the point; its message adds nothing for the reader
  }
}

const KEY_TYPES = { ecdsa: "ec", "rsa-pkcs1": "rsa", "rsa-pss": "rsa", eddsa: "ed25519" } as const;

/** Whether `signature` was made over `bytes` by `key` with exactly this scheme. ECDSA signatures are DER, or r and s side by side for `ieee-p1363`. */
export function isSignedBy(
  scheme: SignatureScheme,
  key: KeyObject,
  bytes: Uint8Array,
  signature: Uint8Array,
  encoding: "der" | "ieee-p1363" = "der",
): boolean {
  if (key.asymmetricKeyType !== KEY_TYPES[scheme.kind]) return false;
  switch (scheme.kind) {
    case "ecdsa":
      return verify(scheme.digest, bytes, { key, dsaEncoding: encoding }, signature);
    case "rsa-pkcs1":
      return verify(scheme.digest, bytes, { key, padding: constants.RSA_PKCS1_PADDING }, signature);
    case "rsa-pss":
      return verify(scheme.digest, bytes, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: scheme.saltBytes }, signature);
    case "eddsa":
      return verify(null, bytes, key, signature);
    default:
      return scheme satisfies never;
  }
}
