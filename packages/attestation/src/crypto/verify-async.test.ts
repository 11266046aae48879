import assert from "node:assert/strict";
import { test } from "node:test";
import { VerificationCache } from "../collateral/verification-cache.ts";
import { EvidenceError } from "../core/errors.ts";
import { verifyEvidence } from "../core/verify.ts";
import { mintIntel } from "../testing/mint-intel.ts";
import { CryptoUnavailableError, type SignatureQuestion } from "./crypto-provider.ts";
import { hash } from "./current-provider.ts";
import { platformProvider } from "./node-provider.ts";
import { isSignedBy } from "./signature.ts";
import { verifyAsync } from "./verify-async.ts";
import { answerWithWebCrypto } from "./web-signature.ts";

const { quote, context, collateral } = mintIntel({ tee: "tdx" });
const evidence = { kind: "tdx", bytes: quote } as const;
const webCrypto = { isSigned: (question: SignatureQuestion) => answerWithWebCrypto(question) };

test("a verification with asynchronous answers proves what the synchronous one proves", async () => {
  let asked = 0;
  const counting = {
    isSigned: (question: SignatureQuestion) => {
      asked += 1;
      return answerWithWebCrypto(question);
    },
  };
  const claims = await verifyAsync(() => verifyEvidence(evidence, context), counting);
  assert.deepEqual(claims, verifyEvidence(evidence, context));
  assert.ok(asked > 5 && asked < 20, `${asked} signatures asked`);
});

test("refusals are the same, code and reason, for every changed byte of a quote's signed part", async () => {
  const refusalOf = async (run: () => unknown) => {
    try {
      return await run();
    } catch (error) {
      if (error instanceof EvidenceError) return [error.code, error.reason, error.message];
      throw error;
    }
  };
  const cache = new VerificationCache();
  for (let at = 0; at < quote.length; at += 97) {
    const bytes = Uint8Array.from(quote);
    bytes[at] = (bytes[at] ?? 0) ^ 0x10;
    const verify = () => verifyEvidence({ kind: "tdx", bytes }, { ...context, cache });
    assert.deepEqual(await refusalOf(() => verifyAsync(verify, webCrypto)), await refusalOf(verify), `byte ${at}`);
  }
});

test("what is broken off leaves nothing in the cache: a signature that is wrong stays wrong", async () => {
  const cache = new VerificationCache();
  const never = { isSigned: () => Promise.resolve(false) };
  await assert.rejects(
    verifyAsync(() => verifyEvidence(evidence, { ...context, cache }), never),
    EvidenceError,
  );
  await assert.rejects(
    verifyAsync(() => verifyEvidence(evidence, { ...context, cache }), never),
    EvidenceError,
  );
  assert.equal((await verifyAsync(() => verifyEvidence(evidence, { ...context, cache }), webCrypto)).tcb.status, "UpToDate");
});

test("an answer that swallows the break is not believed", async () => {
  const key = { kind: "ed25519", spki: new Uint8Array(44).fill(9) } as const;
  const careless = () => {
    try {
      return isSignedBy({ kind: "eddsa" }, key, quote, new Uint8Array(64).fill(9));
    } catch {
      return "accepted";
    }
  };
  assert.equal(await verifyAsync(careless, { isSigned: () => Promise.resolve(false) }), false);
});

test("hazard A1: bytes that change while an answer is awaited are asked about anew", async () => {
  const bytes = Uint8Array.from(quote);
  const isSigned = async (question: SignatureQuestion) => {
    bytes[200] = 0xee; // inside the body, while WebCrypto is at work
    return answerWithWebCrypto(question);
  };
  await assert.rejects(
    verifyAsync(() => verifyEvidence({ kind: "tdx", bytes }, context), { isSigned }),
    { code: "EVIDENCE_SIGNATURE", reason: "bad-signature" },
  );
});

test("a provider that cannot answer gives no verdict", async () => {
  const unavailable = new CryptoUnavailableError("no hardware", { remedy: "Wait." });
  await assert.rejects(
    verifyAsync(() => verifyEvidence(evidence, context), { isSigned: () => Promise.reject(unavailable) }),
    unavailable,
  );
});

test("without another provider, and with one that answers at once, the function runs once", async () => {
  for (const provider of [{}, { isSigned: (question: SignatureQuestion) => platformProvider.isSigned(question) }]) {
    let runs = 0;
    const run = () => {
      runs += 1;
      return verifyEvidence(evidence, { ...context, collateral: { intel: () => collateral } }).kind;
    };
    assert.equal(await verifyAsync(run, provider), "tdx");
    assert.equal(runs, 1);
  }
});

test("an injected provider serves its own verification only, methods of a class included", async () => {
  class Odd {
    readonly #digest = new Uint8Array(32).fill(1);
    hash() {
      return this.#digest;
    }
  }
  assert.deepEqual(await verifyAsync(() => hash("sha256", quote), new Odd()), new Uint8Array(32).fill(1));
  assert.notDeepEqual(Uint8Array.from(hash("sha256", quote)), new Uint8Array(32).fill(1));
});

test("a function that gives a promise is a caller's mistake", async () => {
  await assert.rejects(
    verifyAsync(() => Promise.resolve(1)),
    TypeError,
  );
});
