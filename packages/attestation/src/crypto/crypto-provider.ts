import { OperationalError } from "../core/errors.ts";

/** Hashes that formats of Evidence use. SHA-1 and SM3 occur in event logs and prove nothing by themselves. */
export type HashAlgorithm = "sha1" | "sha256" | "sha384" | "sha512" | "sm3";

export type SignatureDigest = Exclude<HashAlgorithm, "sm3">;
export type NamedCurve = "P-256" | "P-384" | "P-521";

/** A public key of a kind that is known here; `spki` is its DER SubjectPublicKeyInfo. Built by `x509/public-key.ts`. */
export type PublicKey = { readonly spki: Uint8Array } & (
  | { readonly kind: "ec"; readonly curve: NamedCurve }
  | { readonly kind: "rsa"; readonly modulusBits: number }
  | { readonly kind: "ed25519" }
  | { readonly kind: "ml-dsa"; readonly parameterSet: "ML-DSA-44" | "ML-DSA-65" | "ML-DSA-87" }
);

/** How a signature was made. It follows from the format and the key, never from what was signed. */
export type SignatureScheme =
  | { readonly kind: "ecdsa"; readonly digest: SignatureDigest; readonly encoding: "der" | "ieee-p1363" }
  | { readonly kind: "rsa-pkcs1"; readonly digest: SignatureDigest }
  | { readonly kind: "rsa-pss"; readonly digest: SignatureDigest; readonly saltBytes: number }
  | { readonly kind: "eddsa" }
  | { readonly kind: "ml-dsa" };

/** Whether `key` made `signature` over `message` with exactly this scheme. Key and scheme fit each other. */
export interface SignatureQuestion {
  readonly scheme: SignatureScheme;
  readonly key: PublicKey;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

/**
 * All cryptography that verification needs. Verdicts do not depend on who provides it: an answer is a fact about the bytes, and a provider
 * that cannot give it throws, so that there is no verdict at all.
 */
export interface CryptoProvider {
  /** Digest over the parts one after the other. */
  hash(algorithm: HashAlgorithm, parts: readonly Uint8Array[]): Uint8Array;
  /** Whether a well-formed key can be used: for `ec`, whether its point lies on the curve. */
  isUsableKey(key: PublicKey): boolean;
  /** A promise only where verification runs within `verifyAsync`. */
  isSigned(question: SignatureQuestion): boolean | Promise<boolean>;
}

/** The platform cannot answer: nothing is known about the Evidence. */
export class CryptoUnavailableError extends OperationalError<"CRYPTO_UNAVAILABLE"> {
  constructor(message: string, options: { remedy: string; cause?: unknown }) {
    super("CRYPTO_UNAVAILABLE", message, options);
  }
}
