import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Database } from "../database/database.ts";
import { startPostgres } from "../testing/test-postgres.ts";
import { openPostgresRowStore } from "./postgres-row-store.ts";
import { RowSeal } from "./row-seal.ts";
import { type Commit, type RowStore, STATE_KEY } from "./row-store.ts";
import { openSqliteRowStore } from "./sqlite-row-store.ts";

type Open = () => Promise<RowStore>;

/** One suite for every database: `start` gives a way to open the same data again and again. */
const DATABASES: readonly { readonly name: string; readonly start: (t: TestContext) => Promise<Open> }[] = [
  {
    name: "SQLite",
    start: async (t) => {
      const directory = mkdtempSync(join(tmpdir(), "vouchsafe-store-"));
      t.after(() => rmSync(directory, { recursive: true }));
      return () => openSqliteRowStore(join(directory, "cas.db"));
    },
  },
  {
    name: "PostgreSQL",
    start: async (t) => {
      const connection = await startPostgres(t);
      return () => openPostgresRowStore({ connection });
    },
  },
];

const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));
const row = (id: string, version: number, text: string) => ({ kind: "thing", id, version, sealed: bytes(text) });
const state = (version: number) => ({ ...STATE_KEY, version, sealed: bytes(`state ${version}`) });
const commit = (version: number, more: Partial<Commit> = {}): Commit => ({
  state: state(version),
  puts: [],
  deletes: [],
  log: [],
  ...more,
});

for (const { name, start } of DATABASES) {
  test(`${name}: rows and log are kept as they are, and commits are all or nothing`, async (t) => {
    const open = await start(t);
    let store = await open();
    t.after(() => store[Symbol.asyncDispose]());
    const text = "\u0000\uffff 'quoted' \u{1f600}";
    await store.commit(commit(1, { puts: [row("a", 1, text), row("b", 1, "b")], log: [{ index: 0, entry: "e0 \u00e4" }] }));
    await store.commit(commit(2, { puts: [row("a", 2, "a2")], deletes: [{ kind: "thing", id: "b" }], log: [{ index: 1, entry: "e1" }] }));
    await assert.rejects(
      store.commit(commit(2, { puts: [row("c", 1, "c")] })),
      { code: "STORE_LOCKED" },
      "the state row lets one writer through",
    );
    await assert.rejects(store.commit(commit(3, { puts: [row("d", 1, "d")], log: [{ index: 1, entry: "again" }] })), {
      code: "STORE_FAILED",
    });
    await store[Symbol.asyncDispose]();
    store = await open();
    const found = await Array.fromAsync(store.scan());
    assert.deepEqual(
      found.map(({ kind, id, version, sealed }) => [kind, id, version, Buffer.from(sealed).toString()]),
      [
        ["state", "state", 2, "state 2"],
        ["thing", "a", 2, "a2"],
      ],
    );
    assert.deepEqual(await store.readLog(0, 10), [
      { index: 0, entry: "e0 \u00e4" },
      { index: 1, entry: "e1" },
    ]);
    assert.equal(await store.find({ kind: "thing", id: "d" }), undefined);
    await assert.rejects(open(), { code: "STORE_LOCKED" }, "hazard E7: a second one is refused");
  });

  test(`${name}: many rows are scanned once each, and a database on it works after it was closed`, async (t) => {
    const open = await start(t);
    let store = await open();
    t.after(() => store[Symbol.asyncDispose]());
    const seal = new RowSeal(new Uint8Array(32).fill(9));
    let database = await Database.open(store, seal);
    await Promise.all(Array.from({ length: 1200 }, (_, n) => database.transact((tx) => tx.put({ kind: "thing", id: `r${n}` }, { n }))));
    await database.settle();
    const before = database.state;
    await store[Symbol.asyncDispose]();
    store = await open();
    database = await Database.open(store, seal);
    assert.deepEqual(database.state, before);
    assert.equal(database.ids("thing").size, 1200);
    assert.deepEqual(await database.get({ kind: "thing", id: "r777" }), { n: 777 });
  });

  test(`C-78 ${name}: all rows get another key in one commit, with what is written in it; readings and changes meanwhile go on`, async (t) => {
    const open = await start(t);
    let store = await open();
    t.after(() => store[Symbol.asyncDispose]());
    const [former, following] = [1, 2].map((byte) => new RowSeal(new Uint8Array(32).fill(byte)));
    if (former === undefined || following === undefined) assert.fail();
    const write = (database: Database, id: string, n: number) => database.transact((tx) => tx.put({ kind: "thing", id }, { n }));
    const first = await Database.open(store, former);
    await Promise.all(Array.from({ length: 300 }, (_, n) => write(first, `r${n}`, n)));
    await first.settle();
    await store[Symbol.asyncDispose]();

    store = await open();
    const database = await Database.open(store, former); // nothing is in memory yet: every reading goes to the store
    await assert.rejects(
      database.reseal(following, () => {
        throw new Error("no");
      }),
      /^Error: no$/,
    );
    const [, , ...read] = await Promise.all([
      database.reseal(following, (tx) => {
        tx.put({ kind: "thing", id: "r0" }, { n: -1 });
        tx.delete({ kind: "thing", id: "r1" });
        tx.append({ time: "2026-01-01T00:00:00Z", cas: "c", event: "upgrade_started", data: {} });
      }),
      write(database, "later", 1),
      ...Array.from({ length: 298 }, (_, n) => database.get<{ n: number }>({ kind: "thing", id: `r${n + 2}` })),
    ]);
    assert.deepEqual(
      read.map((value) => value?.n),
      Array.from({ length: 298 }, (_, n) => n + 2),
    );
    await database.settle();
    await store[Symbol.asyncDispose]();

    store = await open();
    await assert.rejects(Database.open(store, former), { code: "STORE_TAMPERED" }, "the former key opens nothing of it");
    const again = await Database.open(store, following);
    assert.deepEqual([await again.get({ kind: "thing", id: "r0" }), await again.get({ kind: "thing", id: "r1" })], [{ n: -1 }, undefined]);
    assert.deepEqual([await again.get({ kind: "thing", id: "later" }), again.ids("thing").size, again.state.logSize], [{ n: 1 }, 300, 1]);
  });
}
