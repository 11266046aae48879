import { constants, createHash, type KeyObject, timingSafeEqual, verify } from "node:crypto";
import { EvidenceError } from "../core/errors.ts";
import { type PcrSelection, parseTpmQuote, parseTpmSignature, type TpmHash, type TpmQuote, type TpmSignature } from "./tpm-quote.ts";

/** Values of PCRs by bank and index, as somebody reports them. */
export type PcrBanks = ReadonlyMap<TpmHash, ReadonlyMap<number, Uint8Array>>;

export interface TpmQuoteInput {
  /** TPMS_ATTEST as the TPM signed it. */
  readonly message: Uint8Array;
  /** TPMT_SIGNATURE, or one taken apart already. */
  readonly signature: Uint8Array | TpmSignature;
  /** Key that the relying party knows to be restricted to its TPM: everything the quote proves, it proves by this. */
  readonly attestationKey: KeyObject;
  readonly pcrs: PcrBanks;
  /** What extraData has to be, whole; undefined leaves freshness to the caller. */
  readonly nonce?: Uint8Array;
}

export interface VerifiedTpmQuote {
  readonly quote: TpmQuote;
  readonly signatureHash: TpmHash;
  /** Only the PCRs that the quote covers. */
  readonly pcrs: PcrBanks;
}

const MODULUS_MIN_BITS = 2048;
const CURVES: ReadonlySet<string> = new Set(["prime256v1", "secp384r1"]);

/** Verifies signature, nonce and PCR values of a quote. Throws EVIDENCE_MALFORMED, EVIDENCE_SIGNATURE, EVIDENCE_STALE (nonce). */
export function verifyTpmQuote({ message, signature, attestationKey, pcrs, nonce }: TpmQuoteInput): VerifiedTpmQuote {
  const quote = parseTpmQuote(message);
  const parts = signature instanceof Uint8Array ? parseTpmSignature(signature) : signature;
  assertTpmKey(attestationKey);
  if (!verifyTpmSignature(message, parts, attestationKey)) {
    throw new EvidenceError("EVIDENCE_SIGNATURE", "TPM quote: not signed by the attestation key", { reason: "bad-signature" });
  }
  if (nonce !== undefined && !equal(nonce, quote.extraData)) {
    throw new EvidenceError("EVIDENCE_STALE", `TPM quote: extraData of ${quote.extraData.length} bytes is not the nonce expected`, {
      reason: "nonce-mismatch",
      remedy: "Ask the TPM for a quote over the nonce of this exchange.",
    });
  }
  return { quote, signatureHash: parts.hash, pcrs: selectQuoted(quote, pcrs, parts.hash) };
}

/** RSA of at least 2048 bits, P-256 or P-384: other keys, such as those on small curves, are refused whatever they sign. */
export function assertTpmKey(key: KeyObject): void {
  const { modulusLength = 0, namedCurve = "" } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === "rsa" && modulusLength >= MODULUS_MIN_BITS) return;
  if (key.asymmetricKeyType === "ec" && CURVES.has(namedCurve)) return;
  const found = key.asymmetricKeyType === "rsa" ? `RSA of ${modulusLength} bits` : `${key.asymmetricKeyType} ${namedCurve}`;
  throw new EvidenceError(
    "EVIDENCE_MALFORMED",
    `TPM quote: attestation key is ${found}; RSA from 2048 bits, P-256 and P-384 are supported`,
    {
      reason: "unsupported-algorithm",
    },
  );
}

/** Whether `key` made `signature` over `message`; the scheme has to be one of the key's type. */
export function verifyTpmSignature(message: Uint8Array, signature: TpmSignature, key: KeyObject): boolean {
  if ((signature.scheme === "ecdsa") !== (key.asymmetricKeyType === "ec")) return false;
  switch (signature.scheme) {
    case "ecdsa":
      return verify(signature.hash, message, { key, dsaEncoding: "ieee-p1363" }, signature.bytes);
    case "rsassa":
      return verify(signature.hash, message, { key, padding: constants.RSA_PKCS1_PADDING }, signature.bytes);
    case "rsapss": // TPMs differ in salt length: that of the hash, or the largest that fits
      return verify(
        signature.hash,
        message,
        { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO },
        signature.bytes,
      );
    default:
      return signature.scheme satisfies never;
  }
}

/** pcrDigest is the hash, by the signature's algorithm, over the selected values in the order of selection (part 3, §18.4). */
function selectQuoted(quote: TpmQuote, reported: PcrBanks, algorithm: TpmHash): PcrBanks {
  const mismatch = (detail: string) => new EvidenceError("EVIDENCE_SIGNATURE", `TPM quote: ${detail}`, { reason: "pcr-mismatch" });
  const digest = createHash(algorithm);
  const quoted = new Map<TpmHash, Map<number, Uint8Array>>();
  for (const { hash, pcrs } of quote.pcrSelect satisfies readonly PcrSelection[]) {
    const bank = quoted.get(hash) ?? new Map<number, Uint8Array>();
    quoted.set(hash, bank);
    for (const pcr of pcrs) {
      const value = reported.get(hash)?.get(pcr);
      if (value === undefined) throw mismatch(`no value is given for PCR ${pcr} of the ${hash} bank, which was quoted`);
      if (value.length !== createHash(hash).digest().length) throw mismatch(`PCR ${pcr} of the ${hash} bank has ${value.length} bytes`);
      digest.update(value);
      bank.set(pcr, value);
    }
  }
  if (!equal(digest.digest(), quote.pcrDigest)) throw mismatch("the PCR values given are not those that were quoted");
  return quoted;
}

const equal = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b);
