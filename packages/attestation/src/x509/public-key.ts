import { concat, isSameBytes } from "../core/bytes.ts";
import { EvidenceError, type EvidenceReason } from "../core/errors.ts";
import type { NamedCurve, PublicKey } from "../crypto/crypto-provider.ts";
import { isUsableKey } from "../crypto/current-provider.ts";
import { DER, DerReader } from "./der-reader.ts";
import { bitString, integer, objectIdentifier, sequence, tlv } from "./der-writer.ts";

const EC_PUBLIC_KEY = "1.2.840.10045.2.1";
const RSA_PUBLIC_KEY = "1.2.840.113549.1.1.1";
const ED25519 = "1.3.101.112";
const CURVE_OIDS: Readonly<Record<NamedCurve, string>> = {
  "P-256": "1.2.840.10045.3.1.7",
  "P-384": "1.3.132.0.34",
  "P-521": "1.3.132.0.35",
};
/** Curves by object identifier. */
export const NAMED_CURVES: ReadonlyMap<string, NamedCurve> = new Map(
  Object.entries(CURVE_OIDS).map(([curve, oid]) => [oid, curve as NamedCurve]),
); // the record's own keys
const COORDINATE_BYTES: Readonly<Record<NamedCurve, number>> = { "P-256": 32, "P-384": 48, "P-521": 66 };
const ED25519_BYTES = 32;
/** FIPS 204, table 2, and RFC 9881. */
const ML_DSA = new Map([
  ["2.16.840.1.101.3.4.3.17", { parameterSet: "ML-DSA-44", bytes: 1312 }],
  ["2.16.840.1.101.3.4.3.18", { parameterSet: "ML-DSA-65", bytes: 1952 }],
  ["2.16.840.1.101.3.4.3.19", { parameterSet: "ML-DSA-87", bytes: 2592 }],
] as const);
const KEY_MAX_BYTES = 16 * 1024;
const UNCOMPRESSED = 4;

const malformed = (detail: string, reason: EvidenceReason = "parse-error") =>
  new EvidenceError("EVIDENCE_MALFORMED", `public key: ${detail}`, { reason });

/** A SubjectPublicKeyInfo taken apart (RFC 5280 §4.1.2.7): which algorithm it says, and the key's own bytes. */
export interface KeyParts {
  readonly oid: string;
  /** DER of the parameters; undefined where there are none. */
  readonly parameters: { readonly tag: number; readonly bytes: Uint8Array } | undefined;
  readonly key: Uint8Array;
}

export function splitPublicKey(spki: Uint8Array, refuse: (detail: string) => Error): KeyParts {
  const outer = new DerReader(spki, "subjectPublicKeyInfo", refuse);
  const reader = outer.open(DER.sequence, "subjectPublicKeyInfo");
  outer.finish();
  const algorithm = reader.open(DER.sequence, "key algorithm");
  const oid = algorithm.oid("key algorithm");
  const parameters = algorithm.isDone ? undefined : algorithm.any("key parameters");
  algorithm.finish();
  const key = reader.byteString("public key");
  reader.finish();
  return { oid, parameters, key };
}

/**
 * Reads a DER SubjectPublicKeyInfo of any kind that signs something here: P-256, P-384, P-521, RSA, Ed25519, ML-DSA. How strong a key has to be
 * is for its user to say. Throws EVIDENCE_MALFORMED, with reason `unsupported-algorithm` for other kinds.
 */
export function readPublicKey(spki: Uint8Array): PublicKey {
  if (spki.length > KEY_MAX_BYTES) throw malformed(`${spki.length} bytes, at most ${KEY_MAX_BYTES} allowed`);
  const key = readParts(spki, splitPublicKey(spki, malformed));
  if (!isUsableKey(key)) throw malformed("its point is not on the curve");
  return key;
}

function readParts(spki: Uint8Array, { oid, parameters, key }: KeyParts): PublicKey {
  if (oid === EC_PUBLIC_KEY) return readEcKey(spki, parameters, key);
  if (oid === RSA_PUBLIC_KEY) return { kind: "rsa", modulusBits: bitLength(readRsaKey(key, malformed).modulus), spki };
  if (oid === ED25519) {
    if (key.length !== ED25519_BYTES || parameters !== undefined) throw malformed("not an Ed25519 key");
    return { kind: "ed25519", spki };
  }
  const lattice = ML_DSA.get(oid as never); // asks a map of known names for one that may not be
  if (lattice === undefined) throw malformed(`kind ${oid} is not supported`, "unsupported-algorithm");
  if (key.length !== lattice.bytes || parameters !== undefined) throw malformed(`not an ${lattice.parameterSet} key`);
  return { kind: "ml-dsa", parameterSet: lattice.parameterSet, spki };
}

function readEcKey(spki: Uint8Array, parameters: KeyParts["parameters"], key: Uint8Array): PublicKey {
  const oid = parameters?.tag === DER.oid ? new DerReader(parameters.bytes, "curve", malformed).oid("curve") : "";
  const curve = NAMED_CURVES.get(oid);
  if (curve === undefined) throw malformed("its curve is not supported", "unsupported-algorithm");
  if (!isUncompressedPoint(curve, key)) throw malformed("not an uncompressed point");
  return { kind: "ec", curve, spki };
}

export const isUncompressedPoint = (curve: NamedCurve, key: Uint8Array): boolean =>
  key.length === 1 + 2 * COORDINATE_BYTES[curve] && key[0] === UNCOMPRESSED;

/** RSAPublicKey (RFC 8017 §A.1.1): two's complement integers. */
export function readRsaKey(key: Uint8Array, refuse: (detail: string) => Error) {
  const list = new DerReader(key, "RSA public key", refuse);
  const reader = list.open(DER.sequence, "RSA public key");
  list.finish();
  const modulus = reader.integer("modulus");
  const exponent = reader.integer("exponent");
  reader.finish();
  return { modulus, exponent };
}

/** Bits of a positive integer in two's complement. */
export function bitLength(integer: Uint8Array): number {
  const significant = integer[0] === 0 ? integer.subarray(1) : integer;
  return significant.length * 8 - Math.clz32(significant[0] ?? 0) + 24;
}

/** All of a SubjectPublicKeyInfo up to the coordinates: quotes bring bare points, each of which becomes a key. */
const EC_PREFIXES = Object.fromEntries(
  NAMED_CURVES.entries().map(([oid, curve]) => {
    const algorithm = sequence(objectIdentifier(EC_PUBLIC_KEY), objectIdentifier(oid));
    const coordinates = new Uint8Array(2 * COORDINATE_BYTES[curve]);
    const whole = sequence(algorithm, bitString(concat(Uint8Array.of(UNCOMPRESSED), coordinates)));
    return [curve, whole.subarray(0, -coordinates.length)];
  }),
) as Readonly<Record<NamedCurve, Uint8Array>>; // one entry for each curve

/** A key out of the coordinates of its point; undefined when it is not on the curve. */
export function ecPublicKey(curve: NamedCurve, x: Uint8Array, y: Uint8Array): PublicKey | undefined {
  const length = COORDINATE_BYTES[curve];
  if (x.length !== length || y.length !== length) return undefined;
  const key: PublicKey = { kind: "ec", curve, spki: concat(EC_PREFIXES[curve], x, y) };
  return isUsableKey(key) ? key : undefined;
}

/** A key out of modulus and exponent, positive and big-endian; undefined when one of them is zero. */
export function rsaPublicKey(modulus: Uint8Array, exponent: Uint8Array): PublicKey | undefined {
  const [n, e] = [toInteger(modulus), toInteger(exponent)];
  if (n === 0n || e === 0n) return undefined;
  const algorithm = sequence(objectIdentifier(RSA_PUBLIC_KEY), tlv(DER.null));
  const key: PublicKey = {
    kind: "rsa",
    modulusBits: n.toString(2).length,
    spki: sequence(algorithm, bitString(sequence(integer(n), integer(e)))),
  };
  return isUsableKey(key) ? key : undefined;
}

const toInteger = (bytes: Uint8Array): bigint => BigInt(`0x0${bytes.toHex()}`);

/** RFC 8410 §4. */
export function ed25519PublicKey(point: Uint8Array): PublicKey {
  if (point.length !== ED25519_BYTES) throw new TypeError(`an Ed25519 key has ${ED25519_BYTES} bytes, not ${point.length}`);
  return { kind: "ed25519", spki: sequence(sequence(objectIdentifier(ED25519)), bitString(point)) };
}

/** Whether both are the same key, parameters included. */
export const isSameKey = (a: PublicKey, b: PublicKey): boolean => isSameBytes(a.spki, b.spki);

/** For messages: `P-256`, `RSA of 1024 bits`. */
export function describeKey(key: PublicKey): string {
  switch (key.kind) {
    case "ec":
      return key.curve;
    case "rsa":
      return `RSA of ${key.modulusBits} bits`;
    case "ed25519":
      return "Ed25519";
    case "ml-dsa":
      return key.parameterSet;
    default:
      return key satisfies never;
  }
}
