import {
  CryptoUnavailableError,
  type NamedCurve,
  type PublicKey,
  type SignatureDigest,
  type SignatureQuestion,
} from "./crypto-provider.ts";
import { toSideBySide } from "./ecdsa-signature.ts";

/** The part of WebCrypto that verification uses, and what it says of algorithms that not every type library knows. */
export interface SignatureCrypto {
  importKey(format: "spki", key: Uint8Array, algorithm: WebAlgorithm, extractable: boolean, usages: ["verify"]): Promise<unknown>;
  // biome-ignore lint/suspicious/noExplicitAny: the key is the platform's own, handed back to it
  verify(algorithm: WebAlgorithm, key: any, signature: Uint8Array, message: Uint8Array): Promise<boolean>;
}

type WebAlgorithm = { readonly name: string } & Readonly<Record<string, unknown>>;

const DIGESTS: Readonly<Record<SignatureDigest, string>> = { sha1: "SHA-1", sha256: "SHA-256", sha384: "SHA-384", sha512: "SHA-512" };
const COORDINATE_BYTES: Readonly<Record<NamedCurve, number>> = { "P-256": 32, "P-384": 48, "P-521": 66 };

/**
 * Answers a question with WebCrypto. Keys that it refuses as data have signed nothing; an algorithm that the platform lacks is
 * CRYPTO_UNAVAILABLE, never an answer.
 */
export async function answerWithWebCrypto(
  question: SignatureQuestion,
  subtle: SignatureCrypto | undefined = platformSubtle(),
): Promise<boolean> {
  if (subtle === undefined) throw unavailable("this platform has no WebCrypto, or the page is no secure context", undefined);
  const { key, message } = question;
  const signature = signatureOf(question);
  if (signature === undefined) return false;
  const { imported, verified } = algorithmsOf(question);
  try {
    const webKey = await subtle.importKey("spki", key.spki, imported, false, ["verify"]);
    return await subtle.verify(verified, webKey, signature, message);
  } catch (error) {
    if (nameOf(error) === "DataError" || nameOf(error) === "OperationError") return false;
    throw unavailable(`WebCrypto on this platform cannot verify ${imported.name} signatures`, error);
  }
}

function signatureOf({ scheme, key, signature }: SignatureQuestion): Uint8Array | undefined {
  if (scheme.kind !== "ecdsa" || key.kind !== "ec") return signature;
  const coordinateBytes = COORDINATE_BYTES[key.curve];
  const sideBySide = scheme.encoding === "der" ? toSideBySide(signature, coordinateBytes) : signature;
  return sideBySide?.length === 2 * coordinateBytes ? sideBySide : undefined;
}

function algorithmsOf({ scheme, key }: SignatureQuestion): { readonly imported: WebAlgorithm; readonly verified: WebAlgorithm } {
  const same = (algorithm: WebAlgorithm) => ({ imported: algorithm, verified: algorithm });
  switch (scheme.kind) {
    case "ecdsa":
      return {
        imported: { name: "ECDSA", namedCurve: key.kind === "ec" ? key.curve : "" },
        verified: { name: "ECDSA", hash: DIGESTS[scheme.digest] },
      };
    case "rsa-pkcs1":
      return same({ name: "RSASSA-PKCS1-v1_5", hash: DIGESTS[scheme.digest] });
    case "rsa-pss":
      return same({ name: "RSA-PSS", hash: DIGESTS[scheme.digest], saltLength: scheme.saltBytes });
    case "eddsa":
      return same({ name: "Ed25519" });
    case "ml-dsa":
      return same({ name: parameterSetOf(key) });
    default:
      return scheme satisfies never;
  }
}

const parameterSetOf = (key: PublicKey): string => (key.kind === "ml-dsa" ? key.parameterSet : "");
const nameOf = (error: unknown): string => (error instanceof Error ? error.name : "");

const unavailable = (message: string, cause: unknown): CryptoUnavailableError =>
  new CryptoUnavailableError(message, {
    cause,
    remedy: "Use a platform that has the algorithm, or give verifyAsync a provider that answers.",
  });

function platformSubtle(): SignatureCrypto | undefined {
  const { crypto } = globalThis as { readonly crypto?: { readonly subtle?: SignatureCrypto } };
  return crypto?.subtle;
}
