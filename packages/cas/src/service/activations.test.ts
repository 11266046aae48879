import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { generateInstanceKey } from "@vouchsafe/protocol";
import { problem, refusal, testPolicy } from "../testing/policies.ts";
import { AUDITED, auditedLines } from "../testing/said-aloud.ts";
import { createTestClient, startTestCas, type TestCas } from "../testing/test-cas.ts";

const policy = (limits: string, rest = "") => testPolicy({ name: "shop", service: `    ${limits}`, rest });

/** Starts many at once, a few connections at a time still being made. */
async function startMany(cas: TestCas, count: number) {
  const outcomes = await Promise.allSettled(Array.from({ length: count }, () => cas.attest("shop/api", { timeoutMs: 120_000 })));
  const granted = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value.connection] : []));
  const reasons = outcomes.flatMap((outcome) =>
    outcome.status === "rejected" ? [outcome.reason.refusal?.code ?? String(outcome.reason)] : [],
  );
  return { granted, reasons: new Set(reasons) };
}

/** The CAS hears of the end of a connection a moment later. */
async function untilStarted(cas: TestCas) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await cas.attest("shop/api");
    } catch (error) {
      if (attempt === 100) throw error;
      await sleep(50);
    }
  }
}

test("extension max_activations: of 200 who ask at once exactly as many start as may, over restarts and updates", async (t) => {
  const cas = await startTestCas(t, { selfProvision: AUDITED });
  const author = createTestClient();
  const { hash } = await cas.client(author).uploadSession(policy("max_activations: 7"));
  const { granted, reasons } = await startMany(cas, 200);
  assert.equal(granted.length, 7);
  assert.deepEqual([...reasons], ["activation_limit"]);
  assert.equal(
    auditedLines(cas).match(/"attestation_refused","data":\{"service":"shop\/api","evidence":"node","code":"activation_limit"/g)?.length,
    193,
  );
  for (const connection of granted) connection.close();
  await assert.rejects(cas.attest("shop/api"), refusal("activation_limit", "activation", /may be started 7 times, and was/));
  await cas.restart();
  await assert.rejects(cas.attest("shop/api"), refusal("activation_limit", "activation"));
  await cas.client(author).uploadSession(policy("max_activations: 8", `predecessor: ${hash}`));
  (await cas.attest("shop/api")).connection.close();
  await assert.rejects(cas.attest("shop/api"), refusal("activation_limit", "activation"));
  const { services } = await cas.client(author).activations("shop");
  assert.deepEqual({ ...services[0], running: 0 }, { name: "api", activations: 8, maxActivations: 8, running: 0, maxRunning: null });
  await assert.rejects(cas.client(createTestClient()).activations("shop"), problem("not_found"));
});

test("extension max_running: as many at once as may; an exit or the end of the connection frees the place", async (t) => {
  const cas = await startTestCas(t);
  await cas.client(createTestClient()).uploadSession(policy("max_running: 3"));
  const { granted, reasons } = await startMany(cas, 200);
  assert.equal(granted.length, 3);
  assert.deepEqual([...reasons], ["running_limit"]);
  await assert.rejects(cas.attest("shop/api"), refusal("running_limit", "activation", /3 of at most 3 instances of shop\/api run already/));
  await granted[0]?.reportExit(0, null);
  const next = await cas.attest("shop/api");
  await assert.rejects(cas.attest("shop/api"), refusal("running_limit", "activation"));
  granted[1]?.close();
  const last = await untilStarted(cas);
  for (const connection of [...granted, next.connection, last.connection]) connection.close();
});

test("extension max_running: an instance that lost its connection comes back to its place, another key does not", async (t) => {
  let now = new Date();
  const cas = await startTestCas(t, { now: () => now });
  await cas.client(createTestClient()).uploadSession(policy("max_running: 1\n    max_activations: 2"));
  const instanceKey = generateInstanceKey();
  (await cas.attest("shop/api", { instanceKey })).connection.closed.catch(() => {});
  await assert.rejects(
    cas.attest("shop/api", { instanceKey }),
    refusal("running_limit", "activation", /an instance with this key runs already/),
  );
  await cas.restart();
  await assert.rejects(cas.attest("shop/api"), refusal("running_limit", "activation"), "the place is kept over a restart");
  const back = await cas.attest("shop/api", { instanceKey, reconnect: true });
  await assert.rejects(cas.attest("shop/api", { reconnect: true }), refusal("running_limit", "activation"));
  back.connection.close();
  const second = await untilStarted(cas);
  second.connection.close();
  await sleep(100);
  await assert.rejects(
    cas.attest("shop/api", { reconnect: true }),
    refusal("activation_limit", "activation"),
    "saying so makes no reconnection",
  );
  await cas.restart();
  now = new Date(now.getTime() + 80_000);
  (await cas.attest("shop/api", { instanceKey, reconnect: true })).connection.close();
});

test("extension limits: a service without them leaves no record, and may reconnect as ever", async (t) => {
  const cas = await startTestCas(t);
  const client = cas.client(createTestClient());
  await client.uploadSession(policy(""));
  const instanceKey = generateInstanceKey();
  for (const reconnect of [false, true, false]) (await cas.attest("shop/api", { instanceKey, reconnect })).connection.close();
  assert.equal((await client.activations("shop")).services[0]?.activations, 0);
});
