import { sha1 } from "@noble/hashes/legacy.js";
import { sha256, sha384, sha512 } from "@noble/hashes/sha2.js";
import { type CryptoProvider, CryptoUnavailableError, type HashAlgorithm, type SignatureQuestion } from "./crypto-provider.ts";
import { isOnCurve } from "./curve-point.ts";
import { sm3 } from "./sm3.ts";
import { answerWithWebCrypto } from "./web-signature.ts";

const HASHES = { sha1, sha256, sha384, sha512, sm3 } as const satisfies Record<HashAlgorithm, unknown>;

/**
 * Where `node:crypto` is missing. Hashes and key checks are synchronous, so everything but signatures works as in Node; these are answered
 * asynchronously, by WebCrypto or an injected provider, within `verifyAsync`.
 */
export const platformProvider: CryptoProvider = {
  hash(algorithm, parts) {
    const digest = HASHES[algorithm].create();
    for (const part of parts) digest.update(part);
    return digest.digest();
  },
  isUsableKey: (key) => key.kind !== "ec" || isOnCurve(key),
  isSigned() {
    throw new CryptoUnavailableError("signatures cannot be verified synchronously on this platform", {
      remedy: "Call the verification within verifyAsync(() => …).",
    });
  },
};

/** What `verifyAsync` asks unless it is given another provider. */
export const answerOnPlatform = (question: SignatureQuestion): boolean | Promise<boolean> => answerWithWebCrypto(question);
