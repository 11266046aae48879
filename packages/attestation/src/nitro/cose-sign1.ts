import { encode } from "cborg";
import { decodeStrictCbor, TaggedCbor } from "../core/strict-cbor.ts";

/** COSE_Sign1 with ES384 (RFC 9052 §4.2): taken apart, not verified. */
export interface CoseSign1 {
  readonly payload: Uint8Array;
  /** r and s, 48 bytes each. */
  readonly signature: Uint8Array;
  /** Sig_structure: what was signed. */
  readonly signedBytes: Uint8Array;
}

export type CoseRefusal = (detail: string, reason: "parse-error" | "trailing-data" | "unsupported-algorithm") => Error;

const COSE_SIGN1_TAG = 18;
const ALGORITHM = 1;
const ES384 = -35;
const SIGNATURE_BYTES = 96;

/** Splits a COSE_Sign1, with or without its tag. Throws what `refuse` makes. */
export function parseCoseSign1(bytes: Uint8Array, maxBytes: number, refuse: CoseRefusal): CoseSign1 {
  const malformed = (detail: string) => refuse(detail, "parse-error");
  const { value, rest } = decodeStrictCbor(bytes, { maxBytes, tags: [COSE_SIGN1_TAG] }, malformed);
  const parts = value instanceof TaggedCbor ? value.value : value;
  if (!Array.isArray(parts) || parts.length !== 4) throw malformed("not an array of protected header, header, payload and signature");
  if (rest.length > 0) throw refuse(`${rest.length} bytes follow the document`, "trailing-data");
  const [protectedHeader, header, payload, signature] = parts as unknown[];
  if (!(protectedHeader instanceof Uint8Array) || !(payload instanceof Uint8Array) || !(signature instanceof Uint8Array)) {
    throw malformed("protected header, payload and signature are not byte strings");
  }
  // Everything that says how to verify stands in the protected header: an algorithm in the other one could be put there by anybody.
  if (!(header instanceof Map) || header.size > 0) throw malformed("the unprotected header is not empty");
  const decoded = decodeStrictCbor(protectedHeader, { maxBytes }, malformed);
  if (!(decoded.value instanceof Map) || decoded.rest.length > 0) throw malformed("the protected header is not a map");
  const algorithm: unknown = decoded.value.get(ALGORITHM);
  if (algorithm !== ES384)
    throw refuse(`algorithm ${String(algorithm).slice(0, 20)}; only ES384 (-35) is supported`, "unsupported-algorithm");
  if (decoded.value.size > 1) throw malformed("the protected header has more than the algorithm");
  if (signature.length !== SIGNATURE_BYTES) throw malformed(`signature of ${signature.length} bytes; ES384 has ${SIGNATURE_BYTES}`);
  return { payload, signature, signedBytes: signatureStructure(protectedHeader, payload) };
}

export function signatureStructure(protectedHeader: Uint8Array, payload: Uint8Array): Uint8Array {
  return encode(["Signature1", protectedHeader, new Uint8Array(0), payload]);
}
