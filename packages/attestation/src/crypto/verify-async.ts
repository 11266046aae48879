import { answerOnPlatform, platformProvider } from "#platform-provider";
import { isSameBytes } from "../core/bytes.ts";
import type { CryptoProvider, SignatureQuestion } from "./crypto-provider.ts";
import { withProvider } from "./current-provider.ts";

interface AnsweredQuestion {
  readonly question: SignatureQuestion;
  readonly isSigned: boolean;
}

/** More distinct signatures than any verification here looks at: searches for certification paths are bounded far below. */
const QUESTIONS_MAX = 256;

/**
 * Runs a synchronous verification with cryptography that answers asynchronously: WebCrypto where `node:crypto` is missing, or what `provider`
 * brings (what it leaves out stays as it is). `run` begins again from its start whenever an answer has come that it needed, so it must be
 * synchronous and may be called several times; only its last run, in which every answer was there, gives the result or the refusal.
 * Give the verification a `VerificationCache`, and repetitions cost little. Throws what `run` throws, and CRYPTO_UNAVAILABLE.
 *
 *     const claims = await verifyAsync(() => verifyEvidence(evidence, context));
 */
export async function verifyAsync<T>(run: () => T, provider: Partial<CryptoProvider> = {}): Promise<T> {
  const source: CryptoProvider = {
    hash: provider.hash?.bind(provider) ?? platformProvider.hash,
    isUsableKey: provider.isUsableKey?.bind(provider) ?? platformProvider.isUsableKey,
    isSigned: provider.isSigned?.bind(provider) ?? answerOnPlatform,
  };
  const answers: AnsweredQuestion[] = [];
  while (answers.length <= QUESTIONS_MAX) {
    const attempt = new Attempt(source, answers);
    const outcome = attempt.run(run);
    if (attempt.pending === undefined) return finish(outcome);
    answers.push({ question: attempt.pending.question, isSigned: await attempt.pending.answer });
  }
  throw new RangeError(`a verification that asks for more than ${QUESTIONS_MAX} signatures`);
}

type Outcome<T> = { readonly value: T } | { readonly thrown: unknown };

/** One run. At the first question without an answer it is broken off; what it gave then, or threw, says nothing and is not looked at. */
class Attempt {
  pending: { readonly question: SignatureQuestion; readonly answer: Promise<boolean> } | undefined;
  readonly #provider: CryptoProvider;
  #asked = 0;

  constructor(source: CryptoProvider, answers: readonly AnsweredQuestion[]) {
    this.#provider = { ...source, isSigned: (question) => this.#answer(question, source, answers) };
  }

  run<T>(run: () => T): Outcome<T> {
    try {
      return { value: withProvider(this.#provider, run) };
    } catch (thrown) {
      return { thrown };
    }
  }

  #answer(question: SignatureQuestion, source: CryptoProvider, answers: readonly AnsweredQuestion[]): boolean {
    if (this.pending !== undefined) throw new BrokenOff();
    // A run asks what the one before it asked, in the same order, unless its bytes have changed.
    const expected = answers[this.#asked++];
    const isKnown = (answered: AnsweredQuestion) => isSameQuestion(answered.question, question);
    const known = expected !== undefined && isKnown(expected) ? expected : answers.find(isKnown);
    if (known !== undefined) return known.isSigned;
    const copy = copyOf(question); // what is asked is what was answered, even if the caller's bytes change meanwhile
    const answer = source.isSigned(copy);
    if (typeof answer === "boolean") return answer;
    this.pending = { question: copy, answer };
    throw new BrokenOff();
  }
}

/** Not an EvidenceError: nothing in a verification takes it for a refusal. */
class BrokenOff extends Error {}

function finish<T>(outcome: Outcome<T>): T {
  if ("thrown" in outcome) throw outcome.thrown;
  if (outcome.value instanceof Promise) throw new TypeError("verifyAsync takes a synchronous function; this one gave a promise");
  return outcome.value;
}

const copyOf = ({ scheme, key, message, signature }: SignatureQuestion): SignatureQuestion => ({
  scheme,
  key: { ...key, spki: Uint8Array.from(key.spki) },
  message: Uint8Array.from(message),
  signature: Uint8Array.from(signature),
});

function isSameQuestion(a: SignatureQuestion, b: SignatureQuestion): boolean {
  return (
    isSameBytes(a.signature, b.signature) &&
    isSameBytes(a.key.spki, b.key.spki) &&
    isSameBytes(a.message, b.message) &&
    JSON.stringify(a.scheme) === JSON.stringify(b.scheme)
  );
}
