/** Each rule of the limits on starts, on a database without a server: which starts count, and who runs. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { Service } from "@vouchsafe/policy";
import { Database } from "../database/database.ts";
import type { SessionVersion } from "../sessions/session-records.ts";
import { RowSeal } from "../store/row-seal.ts";
import { openSqliteRowStore } from "../store/sqlite-row-store.ts";
import { Activations } from "./activations.ts";
import { Refused } from "./refusal.ts";

const RECORD = { kind: "activations", id: "shop\napi" };
const version = { name: "shop" } as SessionVersion; // counting asks for no more
const of = (instanceKeyId: string) => ({ session: "shop", service: "api", instanceKeyId });
interface Kept {
  readonly count: number;
  readonly instances: Readonly<Record<string, { readonly since: string; readonly until?: string }>>;
}

/** A service with these limits. What is admitted is told as `granted`, or by the code of the refusal. */
async function service(t: TestContext, limits: Partial<Pick<Service, "maxActivations" | "maxRunning">>) {
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-activations-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const store = await openSqliteRowStore(join(directory, "cas.db"));
  t.after(() => store[Symbol.asyncDispose]());
  const database = await Database.open(store, new RowSeal(new Uint8Array(32).fill(5)));
  let clock = Date.parse("2026-06-15T12:00:00Z");
  const now = () => new Date(clock);
  let activations = new Activations(now);
  const limited = { name: "api", ...limits } as Service;
  const admit = async (key: string, isReconnection = false) => {
    try {
      await database.transact((tx) => activations.admit(tx, version, limited, key, isReconnection));
      return "granted";
    } catch (error) {
      if (error instanceof Refused) return error.code;
      throw error;
    }
  };
  return {
    admit,
    database,
    reconnect: (key: string) => admit(key, true),
    disconnect: (key: string) => activations.disconnected(of(key)),
    lost: (key: string, how: "ended" | "broken") => database.transact((tx) => activations.lost(tx, of(key), how)),
    exited: (key: string) => database.transact((tx) => activations.exited(tx, of(key))),
    count: () => activations.countOf(database, "shop", "api"),
    kept: () => database.get<Kept>(RECORD),
    wait: (seconds: number) => {
      clock += seconds * 1000;
    },
    restart: () => {
      activations = new Activations(now);
    },
  };
}

test("extension max_activations: a start counts once and for all, a return of a known instance is none", async (t) => {
  const { admit, reconnect, disconnect, lost, exited, count, wait } = await service(t, { maxActivations: 2 });
  assert.deepEqual(await count(), { activations: 0, running: 0 });
  assert.equal(await admit("a"), "granted");
  assert.equal(await reconnect("b"), "granted", "saying so makes no reconnection: it is the second start");
  assert.deepEqual(await count(), { activations: 2, running: 2 });
  assert.equal(await admit("c"), "activation_limit");
  assert.equal(await reconnect("c"), "activation_limit");
  for (const key of ["a", "b"]) disconnect(key);
  await lost("a", "ended");
  await exited("b");
  wait(3600);
  assert.equal(await admit("a"), "activation_limit", "its key does not make a start a return");
  assert.equal(await reconnect("b"), "activation_limit", "who reported an exit does not come back");
  assert.equal(await reconnect("a"), "granted");
  assert.deepEqual(await count(), { activations: 2, running: 1 });
});

test("extension max_running: a place is held by a key, for as long as one of its connections is open", async (t) => {
  const { admit, reconnect, disconnect, lost, count } = await service(t, { maxRunning: 1 });
  assert.equal(await admit("a"), "granted");
  assert.equal(await admit("a"), "running_limit");
  assert.equal(await admit("b"), "running_limit");
  assert.equal(await reconnect("b"), "running_limit");
  assert.equal(await reconnect("a"), "granted");
  assert.equal(disconnect("a"), false, "one of two");
  await lost("a", "ended");
  assert.equal(await admit("b"), "running_limit", "the other is open");
  assert.equal(disconnect("a"), true);
  await lost("a", "ended");
  assert.deepEqual(await count(), { activations: 1, running: 0 });
  assert.equal(await admit("b"), "granted");
  assert.equal(await reconnect("a"), "running_limit", "its place is taken");
});

test("C-47: the place of an instance whose connection broke is kept for 75 s; one that ended, or reported its exit, keeps none", async (t) => {
  const { admit, disconnect, lost, exited, wait, count } = await service(t, { maxRunning: 1 });
  assert.equal(await admit("a"), "granted");
  disconnect("a");
  await lost("a", "broken");
  wait(74.999);
  assert.equal(await admit("b"), "running_limit");
  wait(0.001);
  assert.equal(await admit("b"), "granted");
  await exited("b");
  assert.deepEqual(await count(), { activations: 2, running: 0 });
  assert.equal(await admit("c"), "granted");
  await lost("nobody", "broken");
  await exited("nobody");
  assert.deepEqual(await count(), { activations: 3, running: 1 });
});

test("C-47: an instance with two connections that lost one is still there when the CAS ends", async (t) => {
  const { admit, reconnect, disconnect, lost, restart } = await service(t, { maxRunning: 1 });
  await admit("a");
  await reconnect("a");
  disconnect("a");
  await lost("a", "ended");
  restart();
  assert.equal(await admit("b"), "running_limit");
});

test("C-47: who was connected when the CAS ended has 75 s from its start to come back", async (t) => {
  const { admit, reconnect, restart, wait } = await service(t, { maxRunning: 1 });
  assert.equal(await admit("a"), "granted");
  wait(1000);
  restart();
  assert.equal(await admit("b"), "running_limit");
  assert.equal(await reconnect("a"), "granted");
  restart();
  wait(75);
  assert.equal(await admit("b"), "granted");
});

test("of the instances that are gone a thousand are remembered, the latest; of those that run or may come back, all", async (t) => {
  const { database, admit, reconnect, lost, disconnect, kept, wait } = await service(t, { maxRunning: 10 });
  const keys = Array.from({ length: 1001 }, (_, index) => `k${index}`);
  const since = "2026-06-15T10:00:00Z";
  const gone = Object.fromEntries(keys.map((key) => [key, { since, until: "2026-06-15T11:00:00Z" }]));
  const instances = { broken: { since, until: "2026-06-15T12:01:00Z" }, crashed: { since }, ...gone };
  await database.transact(async (tx) => tx.put(RECORD, { count: 1003, instances } satisfies Kept));
  const rest = async () => Object.keys((await kept())?.instances ?? {});
  assert.equal(await admit("new"), "granted");
  assert.deepEqual(await rest(), ["broken", "crashed", ...keys.slice(1), "new"]);
  disconnect("new");
  await lost("new", "ended");
  assert.deepEqual((await kept())?.instances["new"], { since: "2026-06-15T12:00:00.000Z", until: "2026-06-15T12:00:00.000Z" });
  assert.equal((await kept())?.count, 1004);
  wait(75);
  assert.equal(await reconnect("crashed"), "granted", "it is late, and known all the same");
  assert.deepEqual(
    await rest(),
    [...keys.slice(3), "new", "crashed"].toSpliced(0, 0, keys[2] ?? ""),
    "the two that did not come back in time are gone like others",
  );
});

test("a service without limits is counted nowhere", async (t) => {
  const { admit, kept, disconnect, exited, lost } = await service(t, {});
  for (let count = 0; count < 2; count++) assert.equal(await admit("a"), "granted");
  await lost("a", "broken");
  await exited("b");
  assert.equal(await kept(), undefined);
  assert.deepEqual([disconnect("a"), disconnect("a"), disconnect("a")], [false, true, true]);
});
