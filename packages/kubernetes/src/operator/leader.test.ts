import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Cluster } from "../cluster/cluster.ts";
import { missingForApiServer, startApiServer } from "../testing/api-server.ts";
import { type Candidate, lead } from "./leader.ts";

const times = { leaseMs: 3_000, renewDeadlineMs: 2_000, retryMs: 200 };
const candidate = (identity: string): Candidate => ({ namespace: "default", name: "operator", identity, times });
const lease = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { name: "operator", namespace: "default" } };

/** A candidate that notes when it leads. */
function run(t: TestContext, cluster: Cluster, identity: string, journal: string[]) {
  const stop = new AbortController();
  t.after(() => stop.abort());
  const ended = lead(
    cluster,
    candidate(identity),
    async (signal) => {
      journal.push(`${identity} begins`);
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      journal.push(`${identity} ends`);
    },
    () => undefined,
    stop.signal,
  );
  return { stop: () => stop.abort(), ended };
}

async function until(journal: readonly string[], line: string): Promise<number> {
  const start = performance.now();
  while (!journal.includes(line)) {
    assert(performance.now() - start < 60_000, `${line}: ${journal.join(", ")}`);
    await sleep(20);
  }
  return performance.now() - start;
}

test("two operators: one works at a time, and the other follows when the first ends or dies", async (t) => {
  const missing = missingForApiServer();
  if (missing !== undefined) return t.diagnostic(`not run: ${missing}`);
  const server = await startApiServer();
  t.after(() => server.stop());
  const cluster = new Cluster(server.config);
  const journal: string[] = [];

  const a = run(t, cluster, "a", journal);
  await until(journal, "a begins");
  const b = run(t, cluster, "b", journal);
  await sleep(times.leaseMs + 1_000);
  assert.deepEqual(journal, ["a begins"], "a leader that renews is not followed");

  a.stop();
  await a.ended;
  await until(journal, "b begins");
  assert.deepEqual(journal, ["a begins", "a ends", "b begins"], "who ends gives the lease back before the next begins");

  // Somebody takes the lease by force: the leader must notice, and stop.
  await cluster.merge(lease, { spec: { holderIdentity: "dead" } });
  await until(journal, "b ends");
  await b.ended;

  // "dead" never renews, as a killed process does not: it is followed when its time is over, and not before.
  const c = run(t, cluster, "c", journal);
  const waited = await until(journal, "c begins");
  assert(waited >= times.leaseMs * 0.9, `followed after ${waited} ms`);
  c.stop();
  await c.ended;
  return undefined;
});

test("a leader that cannot renew stops before anybody may follow it", async (t) => {
  const missing = missingForApiServer();
  if (missing !== undefined) return t.diagnostic(`not run: ${missing}`);
  const server = await startApiServer();
  let isStopped = false;
  t.after(async () => {
    if (!isStopped) await server.stop();
  });
  const journal: string[] = [];
  const a = run(t, new Cluster(server.config), "a", journal);
  await until(journal, "a begins");
  await server.stop();
  isStopped = true;
  const waited = await until(journal, "a ends");
  assert(waited < times.leaseMs, `stopped after ${waited} ms`);
  await a.ended;
  return undefined;
});
