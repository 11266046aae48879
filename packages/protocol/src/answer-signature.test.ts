import assert from "node:assert/strict";
import { test } from "node:test";
import { ANSWER_SIGNER, type SignedAnswer, signAnswer, verifyAnswer } from "./answer-signature.ts";
import { casKeys, mintCasChain, NOW, newKey, pemOf } from "./testing/mint-cas-chain.ts";

const question = { method: "GET", target: "/v1/sessions/shop?sign=1" } as const;
const plain: SignedAnswer = {
  ...question,
  status: 200,
  headers: { "content-type": "application/json", "vouchsafe-session-hash": "ab".repeat(32) },
  body: '{"name":"shop"}',
};
const chain = pemOf(mintCasChain({ leaf: { subject: ANSWER_SIGNER, isCa: false } }));
const signed = (answer = plain, signers = chain, key = casKeys.leaf): SignedAnswer => ({
  ...answer,
  headers: { ...answer.headers, ...signAnswer(answer, key, signers, NOW) },
});
const answer = signed();
const withHeader = (name: string, change: (value: string) => string | undefined): SignedAnswer => ({
  ...answer,
  headers: { ...answer.headers, [name]: change(answer.headers[name] ?? "") },
});

test("C-28 an answer is shown to others as it was given: who answered, and when", () => {
  const { identity, answeredAt } = verifyAnswer(answer, {});
  assert.deepEqual([identity.chain, answeredAt], [chain, NOW]);
  assert.deepEqual(verifyAnswer(signed({ ...plain, headers: {} }), {}).answeredAt, NOW, "headers that are not there are not covered");
});

const refused: readonly { rule: string; changed: SignedAnswer; says: RegExp }[] = [
  { rule: "without a signature", changed: plain, says: /it has no signature of a CAS/ },
  { rule: "without the time", changed: withHeader("signature-input", (value) => value.replace(/;created=\d+/, "")), says: /no signature/ },
  {
    rule: "whose signature covers less",
    changed: withHeader("signature-input", (value) => value.replace(' "content-digest"', "")),
    says: /does not cover what it must/,
  },
  {
    rule: "with a header that the signature does not cover",
    changed: withHeader("vouchsafe-session-creator", () => "x"),
    says: /does not cover what it must/,
  },
  { rule: "with another body", changed: { ...answer, body: "{}" }, says: /the content was changed/ },
  { rule: "with another digest", changed: withHeader("content-digest", () => "sha-256=:AAAA:"), says: /the content was changed/ },
  { rule: "to another question", changed: { ...answer, target: "/v1/sessions/other?sign=1" }, says: /signature is wrong/ },
  { rule: "to another method", changed: { ...answer, method: "PUT" }, says: /signature is wrong/ },
  { rule: "of another status", changed: { ...answer, status: 404 }, says: /signature is wrong/ },
  { rule: "of another session hash", changed: withHeader("vouchsafe-session-hash", () => "cd".repeat(32)), says: /signature is wrong/ },
  {
    rule: "of another time",
    changed: withHeader("signature-input", (value) =>
      value.replace(/=1(\d+);/, "=1$1;").replace(/(\d);alg/, (_, digit) => `${(Number(digit) + 1) % 10};alg`),
    ),
    says: /signature is wrong/,
  },
  { rule: "whose signature is no base64", changed: withHeader("signature", (value) => value.slice(0, -1)), says: /signature is wrong/ },
  { rule: "that another key signed", changed: signed(plain, chain, newKey()), says: /signature is wrong/ },
  {
    rule: "that the key of the CAS's connections signed",
    changed: signed(plain, pemOf(mintCasChain())),
    says: /its key is that of CN=tls, which signs no answers/,
  },
  { rule: "without a chain", changed: withHeader("vouchsafe-signature-chain", () => undefined), says: /chain cannot be read/ },
];
for (const { rule, changed, says } of refused) {
  test(`C-28 an answer proves nothing: one ${rule}`, () => {
    assert.throws(() => verifyAnswer(changed, {}), { code: "ANSWER_SIGNATURE", message: says });
  });
}

test("C-28 an answer of another CAS, or of one that had ended when it answered, is refused by its chain", () => {
  assert.throws(() => verifyAnswer(answer, { casKeyHash: "x" }), { code: "CAS_IDENTITY" });
  const ended = pemOf(mintCasChain({ leaf: { subject: ANSWER_SIGNER, notAfter: new Date(NOW.getTime() - 1000) } }));
  assert.throws(() => verifyAnswer(signed(plain, ended), {}), { code: "CAS_IDENTITY", message: /TLS certificate is valid/ });
});
