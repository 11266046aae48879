import { isSameBytes } from "../core/bytes.ts";
import { EvidenceError, type Mismatch } from "../core/errors.ts";
import type { PublicKey } from "../crypto/crypto-provider.ts";
import { hash as digestOf } from "../crypto/current-provider.ts";
import { isSignedBy } from "../crypto/signature.ts";
import { describeKey } from "../x509/public-key.ts";
import { type PcrSelection, parseTpmQuote, parseTpmSignature, type TpmHash, type TpmQuote, type TpmSignature } from "./tpm-quote.ts";

/** Values of PCRs by bank and index, as somebody reports them. */
export type PcrBanks = ReadonlyMap<TpmHash, ReadonlyMap<number, Uint8Array>>;

/** A quote, and the key that is known to be a TPM's: where it is known from is the caller's part. */
export interface TpmQuoteInput {
  /** TPMS_ATTEST as the TPM signed it. */
  readonly message: Uint8Array;
  /** TPMT_SIGNATURE, or one taken apart already. */
  readonly signature: Uint8Array | TpmSignature;
  /** Key that the relying party knows to be restricted to its TPM: everything the quote proves, it proves by this. */
  readonly attestationKey: PublicKey;
  readonly pcrs: PcrBanks;
  /** What extraData has to be, whole; undefined leaves freshness to the caller. */
  readonly nonce?: Uint8Array;
}

/** A quote that its key signed, over exactly these PCR values. */
export interface VerifiedTpmQuote {
  readonly quote: TpmQuote;
  readonly signatureHash: TpmHash;
  /** Only the PCRs that the quote covers. */
  readonly pcrs: PcrBanks;
}

const MODULUS_MIN_BITS = 2048;
const DIGEST_BYTES: Readonly<Record<TpmHash, number>> = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 };

/** Verifies signature, nonce and PCR values of a quote. Throws EVIDENCE_MALFORMED, EVIDENCE_SIGNATURE, EVIDENCE_STALE (nonce). */
export function verifyTpmQuote({ message, signature, attestationKey, pcrs, nonce }: TpmQuoteInput): VerifiedTpmQuote {
  const quote = parseTpmQuote(message);
  const parts = signature instanceof Uint8Array ? parseTpmSignature(signature) : signature;
  assertTpmKey(attestationKey);
  if (!verifyTpmSignature(message, parts, attestationKey)) {
    throw new EvidenceError("EVIDENCE_SIGNATURE", "TPM quote: not signed by the attestation key", { reason: "bad-signature" });
  }
  if (nonce !== undefined && !isSameBytes(nonce, quote.extraData)) {
    throw new EvidenceError("EVIDENCE_STALE", `TPM quote: extraData of ${quote.extraData.length} bytes is not the nonce expected`, {
      reason: "nonce-mismatch",
      field: "extraData",
      expected: nonce.toHex(),
      found: quote.extraData.toHex(),
      remedy: "Ask the TPM for a quote over the nonce of this exchange.",
    });
  }
  return { quote, signatureHash: parts.hash, pcrs: selectQuoted(quote, pcrs, parts.hash) };
}

/** RSA of at least 2048 bits, P-256 or P-384: other keys, such as those on small curves, are refused whatever they sign. */
export function assertTpmKey(key: PublicKey): void {
  if (key.kind === "rsa" && key.modulusBits >= MODULUS_MIN_BITS) return;
  if (key.kind === "ec" && key.curve !== "P-521") return;
  const message = `TPM quote: attestation key is ${describeKey(key)}; RSA from 2048 bits, P-256 and P-384 are supported`;
  throw new EvidenceError("EVIDENCE_MALFORMED", message, { reason: "unsupported-algorithm" });
}

/** Whether `key` made `signature` over `message`; the scheme has to be one of the key's type. */
export function verifyTpmSignature(message: Uint8Array, { scheme, hash: digest, bytes }: TpmSignature, key: PublicKey): boolean {
  switch (scheme) {
    case "ecdsa":
      return isSignedBy({ kind: "ecdsa", digest, encoding: "ieee-p1363" }, key, message, bytes);
    case "rsassa":
      return isSignedBy({ kind: "rsa-pkcs1", digest }, key, message, bytes);
    case "rsapss":
      return pssSaltBytes(key, digest).some((saltBytes) => isSignedBy({ kind: "rsa-pss", digest, saltBytes }, key, message, bytes));
    default:
      return scheme satisfies never;
  }
}

/** TPMs differ: the salt is as long as the digest (FIPS mode), or the longest that fits (part 1, §B.7; RFC 8017 §9.1.1). */
function pssSaltBytes(key: PublicKey, digest: TpmHash): readonly number[] {
  if (key.kind !== "rsa") return [];
  const digestBytes = DIGEST_BYTES[digest];
  return [digestBytes, Math.ceil((key.modulusBits - 1) / 8) - digestBytes - 2];
}

/** pcrDigest is the hash, by the signature's algorithm, over the selected values in the order of selection (part 3, §18.4). */
function selectQuoted(quote: TpmQuote, reported: PcrBanks, algorithm: TpmHash): PcrBanks {
  const mismatch = (detail: string, compared: Mismatch) =>
    new EvidenceError("EVIDENCE_SIGNATURE", `TPM quote: ${detail}`, { reason: "pcr-mismatch", ...compared });
  const values: Uint8Array[] = [];
  const quoted = new Map<TpmHash, Map<number, Uint8Array>>();
  for (const { hash, pcrs } of quote.pcrSelect satisfies readonly PcrSelection[]) {
    const bank = quoted.get(hash) ?? new Map<number, Uint8Array>();
    quoted.set(hash, bank);
    for (const pcr of pcrs) {
      const value = reported.get(hash)?.get(pcr);
      if (value?.length !== DIGEST_BYTES[hash]) {
        const [field, expected] = [`PCR ${pcr} of the ${hash} bank`, `${DIGEST_BYTES[hash]} bytes`];
        if (value === undefined) throw mismatch(`no value is given for ${field}, which was quoted`, { field, expected, found: "no value" });
        throw mismatch(`${field} has ${value.length} bytes`, { field, expected, found: `${value.length} bytes` });
      }
      values.push(value);
      bank.set(pcr, value);
    }
  }
  const digest = digestOf(algorithm, ...values);
  if (!isSameBytes(digest, quote.pcrDigest)) {
    const compared = { field: "pcrDigest", expected: quote.pcrDigest.toHex(), found: `${digest.toHex()} over the values given` };
    throw mismatch("the PCR values given are not those that were quoted", compared);
  }
  return quoted;
}
