import { EvidenceError, type EvidenceReason } from "../core/errors.ts";
import { isIntegerWithin } from "../core/integer.ts";
import { decodeStrictCbor, TaggedCbor } from "../core/strict-cbor.ts";
import { millisecondsOf } from "../core/time.ts";
import type { PublicKey, SignatureScheme } from "../crypto/crypto-provider.ts";
import { isSignedBy } from "../crypto/signature.ts";
import { signatureStructure } from "../nitro/cose-sign1.ts";
import { CORIM_MAX_BYTES, type Corim, parseCorim } from "./corim.ts";

/** A CoRIM and the key, of those that the Relying Party trusts, that signed it. */
export interface SignedCorim extends Corim {
  readonly signedBy: PublicKey;
  /** What the signer calls itself; undefined when it does not say. */
  readonly signerName: string | undefined;
}

/** Keys whose reference values count, and the time at which they have to be valid. */
export interface CorimTrust {
  /** Keys whose owners may say what is good. An empty list trusts nobody; keys that come with the CoRIM are never used. */
  readonly keys: readonly PublicKey[];
  readonly now: Date;
}

const TAG = { sign1: 18, time: 1 } as const;
const HEADER = { algorithm: 1, contentType: 3, keyId: 4, meta: 8, claims: 15, certificates: 33 } as const;
/** Read, or about keys that are not used. Any other parameter may change what the signature means. */
const KNOWN_HEADERS: ReadonlySet<unknown> = new Set(Object.values(HEADER));
const CONTENT_TYPE = "application/rim+cbor";
const META = { signer: 0, validity: 1 } as const;
const VALIDITY = { notBefore: 0, notAfter: 1 } as const;
const CWT = { issuer: 1, expires: 4, notBefore: 5 } as const;
/** RFC 9053 §2: algorithm, and the only key that goes with it. */
const ALGORITHMS = new Map<unknown, { readonly scheme: SignatureScheme; readonly fits: (key: PublicKey) => boolean }>([
  [-7, ecdsa("sha256", "P-256")],
  [-35, ecdsa("sha384", "P-384")],
  [-36, ecdsa("sha512", "P-521")],
  [-8, { scheme: { kind: "eddsa" }, fits: ({ kind }) => kind === "ed25519" }],
]);

function ecdsa(digest: "sha256" | "sha384" | "sha512", curve: "P-256" | "P-384" | "P-521") {
  const fits = (key: PublicKey) => key.kind === "ec" && key.curve === curve;
  return { scheme: { kind: "ecdsa", digest, encoding: "ieee-p1363" } as const, fits };
}

type CborMap = ReadonlyMap<unknown, unknown>;

const refuse = (detail: string, reason: EvidenceReason = "parse-error") =>
  new EvidenceError("EVIDENCE_MALFORMED", `signed CoRIM: ${detail}`, { reason });
const malformed = (detail: string) => refuse(detail);

/**
 * Verifies a signed CoRIM (draft-ietf-rats-corim, §4.2: COSE_Sign1, tag 18) with keys that the caller knows, and its dates, and reads its
 * reference values. Throws EVIDENCE_MALFORMED; EVIDENCE_SIGNATURE when none of the keys signed it; EVIDENCE_STALE outside its dates.
 */
export function verifySignedCorim(bytes: Uint8Array, { keys, now }: CorimTrust): SignedCorim {
  const { protectedHeader, payload, signature } = splitSign1(bytes);
  const header = readMap(protectedHeader, "the protected header");
  const stranger = header.keys().find((label) => !KNOWN_HEADERS.has(label));
  if (stranger !== undefined) throw malformed(`unknown parameter ${String(stranger).slice(0, 20)} in the protected header`);
  if (header.get(HEADER.contentType) !== CONTENT_TYPE) throw malformed(`the content type is not ${CONTENT_TYPE}`);
  const algorithm = ALGORITHMS.get(header.get(HEADER.algorithm));
  if (algorithm === undefined) {
    throw refuse(`algorithm ${String(header.get(HEADER.algorithm)).slice(0, 20)} is not supported`, "unsupported-algorithm");
  }
  const signedBytes = signatureStructure(protectedHeader, payload);
  const signedBy = keys.find((key) => algorithm.fits(key) && isSignedBy(algorithm.scheme, key, signedBytes, signature));
  if (signedBy === undefined) {
    throw new EvidenceError("EVIDENCE_SIGNATURE", "signed CoRIM: not signed by a key that is trusted", {
      reason: "bad-signature",
      remedy: "Give the public key of whoever makes the reference values, if you trust them.",
    });
  }
  const { signerName, notBefore, notAfter } = readStatement(header);
  assertWithin(now, notBefore, notAfter);
  return { ...parseCorim(payload), signedBy, signerName };
}

function splitSign1(bytes: Uint8Array) {
  const { value, rest } = decodeStrictCbor(bytes, { maxBytes: CORIM_MAX_BYTES, tags: [TAG.sign1] }, malformed);
  const parts: unknown = value instanceof TaggedCbor ? value.value : undefined;
  if (!Array.isArray(parts) || parts.length !== 4) throw malformed("not a COSE_Sign1 with tag 18");
  if (rest.length > 0) throw refuse(`${rest.length} bytes follow`, "trailing-data");
  // The other header is not signed, so nothing in it is read.
  const [protectedHeader, , payload, signature] = parts as unknown[];
  if (!(protectedHeader instanceof Uint8Array && payload instanceof Uint8Array && signature instanceof Uint8Array)) {
    throw malformed("protected header, payload and signature are not byte strings");
  }
  return { protectedHeader, payload, signature };
}

interface Statement {
  readonly signerName: string | undefined;
  /** Seconds. */
  readonly notBefore: number | undefined;
  readonly notAfter: number | undefined;
}

/** Who signed and until when, as the CoRIM's own map or as claims of a CWT (RFC 9597); one of them has to be there. */
function readStatement(header: CborMap): Statement {
  const meta = header.get(HEADER.meta);
  if (meta === undefined) return readClaims(asMap(header.get(HEADER.claims), "the claims"));
  if (header.has(HEADER.claims)) throw malformed("the signer is told twice");
  if (!(meta instanceof Uint8Array)) throw malformed("the signer's map is not wrapped in a byte string");
  const map = readMap(meta, "the signer's map");
  const signer = asMap(map.get(META.signer), "the signer");
  const name = signer.get(0);
  if (typeof name !== "string") throw malformed("the signer has no name");
  const validity = map.get(META.validity) === undefined ? undefined : asMap(map.get(META.validity), "the validity");
  const notAfter = readTime(validity?.get(VALIDITY.notAfter));
  if (validity !== undefined && notAfter === undefined) throw malformed("the validity has no end");
  return { signerName: name, notBefore: readTime(validity?.get(VALIDITY.notBefore)), notAfter };
}

function readClaims(claims: CborMap): Statement {
  const issuer = claims.get(CWT.issuer);
  if (typeof issuer !== "string") throw malformed("the claims name no issuer");
  return { signerName: issuer, notBefore: readTime(claims.get(CWT.notBefore)), notAfter: readTime(claims.get(CWT.expires)) };
}

function assertWithin(now: Date, notBefore = Number.NEGATIVE_INFINITY, notAfter = Number.POSITIVE_INFINITY): void {
  const seconds = Math.floor(millisecondsOf(now) / 1000);
  const stale = (detail: string, reason: EvidenceReason) => new EvidenceError("EVIDENCE_STALE", `signed CoRIM: ${detail}`, { reason });
  if (seconds < notBefore) throw stale("not yet valid", "collateral-not-yet-valid");
  if (seconds > notAfter) throw stale("no longer valid", "collateral-expired");
}

/** Seconds since 1970, bare or with tag 1. */
function readTime(value: unknown): number | undefined {
  const seconds = value instanceof TaggedCbor ? value.value : value;
  if (seconds === undefined) return undefined;
  if (!isIntegerWithin(seconds, 0, Number.MAX_SAFE_INTEGER)) throw malformed("a time is not a count of seconds");
  return seconds;
}

function readMap(bytes: Uint8Array, field: string): CborMap {
  const { value, rest } = decodeStrictCbor(bytes, { maxBytes: CORIM_MAX_BYTES, tags: [TAG.time] }, malformed);
  if (rest.length > 0) throw malformed(`${rest.length} bytes follow ${field}`);
  return asMap(value, field);
}

function asMap(value: unknown, field: string): CborMap {
  if (!(value instanceof Map)) throw malformed(`${field} is not a map`);
  return value as CborMap; // keys and values are looked at one by one
}
