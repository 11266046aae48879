import { platformProvider } from "#platform-provider";
import type { CryptoProvider, HashAlgorithm, PublicKey, SignatureQuestion } from "./crypto-provider.ts";

/** Who answers now. It changes only for the length of one synchronous call (`withProvider`), so callers never see another's provider. */
let current: CryptoProvider = platformProvider;

/** Digest over the parts one after the other. */
export const hash = (algorithm: HashAlgorithm, ...parts: readonly Uint8Array[]): Uint8Array => current.hash(algorithm, parts);

export const isUsableKey = (key: PublicKey): boolean => current.isUsableKey(key);

/** The provider's answer; `isSignedBy` is what verifiers call. */
export function askProvider(question: SignatureQuestion): boolean {
  const answer = current.isSigned(question);
  if (typeof answer === "boolean") return answer;
  throw new TypeError("a provider that answers with promises serves within verifyAsync only");
}

/** Runs `run`, which must be synchronous, with another provider. */
export function withProvider<T>(provider: CryptoProvider, run: () => T): T {
  const before = current;
  current = provider;
  try {
    return run();
  } finally {
    current = before;
  }
}
