import { concat, u16, u32 } from "../core/bytes.ts";
import { EvidenceError, type EvidenceReason } from "../core/errors.ts";
import type { NamedCurve, PublicKey } from "../crypto/crypto-provider.ts";
import { hash } from "../crypto/current-provider.ts";
import { ecPublicKey, rsaPublicKey } from "../x509/public-key.ts";
import { TpmCursor } from "./tpm-cursor.ts";
import { TPM_HASHES, type TpmHash } from "./tpm-quote.ts";

/** Public area of a TPM key (TPMT_PUBLIC): parsed; whoever hands it over may have invented it. */
export interface TpmPublic {
  readonly nameAlgorithm: TpmHash;
  readonly attributes: TpmAttributes;
  readonly authPolicy: Uint8Array;
  /** Symmetric cipher for what the key protects, key size in bits; storage and endorsement keys have one. */
  readonly symmetricBits: number | undefined;
  readonly key: PublicKey;
  /** Algorithm and digest of the public area: how TPMs name the key. */
  readonly name: Uint8Array;
}

export interface TpmAttributes {
  readonly fixedTpm: boolean;
  readonly fixedParent: boolean;
  readonly sensitiveDataOrigin: boolean;
  readonly restricted: boolean;
  readonly decrypt: boolean;
  readonly sign: boolean;
}

const RSA = 0x0001;
const ECC = 0x0023;
const AES = 0x0006;
const NULL = 0x0010;
const ECDAA = 0x001a;
const CURVES = new Map<number, { readonly curve: NamedCurve; readonly bytes: number }>([
  [3, { curve: "P-256", bytes: 32 }],
  [4, { curve: "P-384", bytes: 48 }],
]);
const DEFAULT_EXPONENT = 65537;
const UNIQUE_MAX_BYTES = 1024;

const refuse = (detail: string, reason: EvidenceReason = "parse-error") =>
  new EvidenceError("EVIDENCE_MALFORMED", `TPM public area: ${detail}`, { reason });

/** Splits a TPMT_PUBLIC (TPM 2.0 Library, part 2, §12.2.4) of an RSA or ECC key. Throws EVIDENCE_MALFORMED. */
export function parseTpmPublic(bytes: Uint8Array): TpmPublic {
  const cursor = new TpmCursor(bytes, refuse);
  const type = cursor.uint(2, "type");
  const nameId = cursor.uint(2, "nameAlg");
  const nameAlgorithm = TPM_HASHES.get(nameId);
  if (nameAlgorithm === undefined) throw refuse(`nameAlg 0x${nameId.toString(16)} is not supported`, "unsupported-algorithm");
  const attributes = readAttributes(cursor.uint(4, "objectAttributes"));
  const authPolicy = cursor.sized(64, "authPolicy");
  if (type !== RSA && type !== ECC) throw refuse(`type 0x${type.toString(16)} is not supported`, "unsupported-algorithm");
  const symmetricBits = takeSymmetric(cursor);
  takeScheme(cursor, "scheme");
  const key = type === RSA ? takeRsaKey(cursor) : takeEccKey(cursor);
  if (cursor.left > 0) throw refuse(`${cursor.left} bytes follow the public area`, "trailing-data");
  const name = concat(u16(nameId), hash(nameAlgorithm, bytes));
  return { nameAlgorithm, attributes, authPolicy, symmetricBits, key, name };
}

/** That the key, if it is the one its TPM knows under this name, never left the TPM and signs only what the TPM made. Throws EVIDENCE_SIGNATURE. */
export function assertAttestationKey({ attributes }: TpmPublic): void {
  const { fixedTpm, fixedParent, sensitiveDataOrigin, restricted, sign, decrypt } = attributes;
  if (fixedTpm && fixedParent && sensitiveDataOrigin && restricted && sign && !decrypt) return;
  throw new EvidenceError(
    "EVIDENCE_SIGNATURE",
    "TPM public area: not an attestation key: it has to be fixed to its TPM, made there, restricted, and for signing only",
    {
      reason: "policy",
    },
  );
}

function readAttributes(bits: number): TpmAttributes {
  const bit = (index: number) => ((bits >>> index) & 1) === 1;
  return { fixedTpm: bit(1), fixedParent: bit(4), sensitiveDataOrigin: bit(5), restricted: bit(16), decrypt: bit(17), sign: bit(18) };
}

function takeSymmetric(cursor: TpmCursor): number | undefined {
  const algorithm = cursor.uint(2, "symmetric algorithm");
  if (algorithm === NULL) return undefined;
  if (algorithm !== AES) throw refuse(`symmetric algorithm 0x${algorithm.toString(16)} is not supported`, "unsupported-algorithm");
  const bits = cursor.uint(2, "symmetric key bits");
  cursor.uint(2, "symmetric mode");
  return bits;
}

function takeScheme(cursor: TpmCursor, field: string): void {
  const scheme = cursor.uint(2, field);
  if (scheme === NULL) return;
  cursor.uint(2, `${field} hash`);
  if (scheme === ECDAA) cursor.uint(2, `${field} count`);
}

function takeRsaKey(cursor: TpmCursor): PublicKey {
  cursor.uint(2, "keyBits");
  const exponent = cursor.uint(4, "exponent") || DEFAULT_EXPONENT; // zero stands for the usual one
  return usable(rsaPublicKey(cursor.sized(UNIQUE_MAX_BYTES, "modulus"), u32(exponent)));
}

function takeEccKey(cursor: TpmCursor): PublicKey {
  const id = cursor.uint(2, "curveID");
  const known = CURVES.get(id);
  if (known === undefined) throw refuse(`curve 0x${id.toString(16)} is not supported`, "unsupported-algorithm");
  takeScheme(cursor, "kdf");
  const { curve, bytes } = known;
  const padded = (coordinate: Uint8Array) => concat(new Uint8Array(bytes - coordinate.length), coordinate);
  const x = padded(cursor.sized(bytes, "x"));
  const y = padded(cursor.sized(bytes, "y"));
  return usable(ecPublicKey(curve, x, y));
}

function usable(key: PublicKey | undefined): PublicKey {
  if (key !== undefined) return key;
  throw refuse("not a usable key, its point is not on the curve for example");
}
