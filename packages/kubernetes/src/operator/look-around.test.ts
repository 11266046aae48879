import assert from "node:assert/strict";
import { test } from "node:test";
import { lookAround } from "./look-around.ts";

const now = new Date("2026-11-28T12:00:00Z");
const name = "kubernetes.default.svc";

test("an operator says what its pod resolves, why it does not, and that nobody answers, before whoever asks gives up", async () => {
  assert.deepEqual((await lookAround(now, { resolve: async () => ({ address: "10.96.0.1" }) })).dns, { name, address: "10.96.0.1" });
  const refused = async () => {
    throw new Error("getaddrinfo EAI_AGAIN");
  };
  assert.deepEqual((await lookAround(now, { resolve: refused })).dns, { name, problem: "getaddrinfo EAI_AGAIN" });
  const silent = () => new Promise<never>(() => {});
  const keepsTheProcess = setInterval(() => {}, 1000);
  assert.deepEqual((await lookAround(now, { resolve: silent, answerMs: 20 })).dns, { name, problem: "no answer within 0.02 s" });
  clearInterval(keepsTheProcess);
});
