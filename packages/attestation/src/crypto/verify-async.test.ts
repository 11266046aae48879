import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { VerificationCache } from "../collateral/verification-cache.ts";
import { EvidenceError } from "../core/errors.ts";
import { verifyEvidence } from "../core/verify.ts";
import { mintIntel } from "../testing/mint-intel.ts";
import { readPublicKey } from "../x509/public-key.ts";
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

test("hazard A1: an answer serves its own question alone: the same signature, key, message and scheme", async () => {
  const [one, other] = [0, 1].map(() => {
    const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    return readPublicKey(publicKey.export({ type: "spki", format: "der" }));
  });
  assert.ok(one !== undefined && other !== undefined);
  const [sha256, sha384] = [{ kind: "rsa-pkcs1", digest: "sha256" } as const, { kind: "rsa-pkcs1", digest: "sha384" } as const];
  const [x, y] = [Uint8Array.of(1), Uint8Array.of(2)];
  let asked = 0;
  const isSigned = ({ scheme, key, message, signature }: SignatureQuestion) => {
    asked += 1;
    const isFirst = JSON.stringify(scheme) === JSON.stringify(sha256) && Buffer.compare(key.spki, one.spki) === 0;
    return Promise.resolve(isFirst && message[0] === 1 && signature[0] === 1);
  };
  const ask = () => [
    isSignedBy(sha256, one, x, x),
    isSignedBy(sha256, one, x, y),
    isSignedBy(sha256, one, y, x),
    isSignedBy(sha256, other, x, x),
    isSignedBy(sha384, one, x, x),
    isSignedBy(sha256, one, x, x),
  ];
  assert.deepEqual(await verifyAsync(ask, { isSigned }), [true, false, false, false, false, true]);
  assert.equal(asked, 5);
});

test("one question at a time is asked, also for a function that swallows the break", async () => {
  const key = { kind: "ed25519", spki: new Uint8Array(44).fill(9) } as const;
  let asked = 0;
  const swallowing = () =>
    [1, 2].map((octet) => {
      try {
        return isSignedBy({ kind: "eddsa" }, key, Uint8Array.of(octet), new Uint8Array(64).fill(9));
      } catch {
        return "broken off";
      }
    });
  const isSigned = () => {
    asked += 1;
    return Promise.resolve(true);
  };
  assert.deepEqual(await verifyAsync(swallowing, { isSigned }), [true, true]);
  assert.equal(asked, 2);
});

test("hazard A17: a verification that asks without end is given up", async () => {
  const key = { kind: "ed25519", spki: new Uint8Array(44).fill(9) } as const;
  const askFor = (count: number) => () => {
    for (let index = 0; index < count; index++) {
      isSignedBy({ kind: "eddsa" }, key, quote, Uint8Array.of(index >> 8, index & 0xff, ...new Uint8Array(62).fill(9)));
    }
    return count;
  };
  const isSigned = () => Promise.resolve(true);
  await assert.rejects(verifyAsync(askFor(257), { isSigned }), { name: "RangeError", message: /more than 256 signatures/ });
  assert.equal(await verifyAsync(askFor(256), { isSigned }), 256);
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
