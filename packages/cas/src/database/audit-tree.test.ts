import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { appendLeaf, EMPTY_EDGE, leafHash, rootOf } from "@vouchsafe/attestation";
import { RowSeal } from "../store/row-seal.ts";
import { openSqliteRowStore } from "../store/sqlite-row-store.ts";
import { testDirectory } from "../testing/cas-command.ts";
import { AuditTree } from "./audit-tree.ts";
import { Database } from "./database.ts";

const ENTRIES = Array.from({ length: 300 }, (_, at) => `entry ${at}`);

/** Roots of the trees of 0, 1, 2, … entries, each made by appending alone. */
function rootsOf(entries: readonly string[]): readonly Uint8Array[] {
  let edge = EMPTY_EDGE;
  const roots = [rootOf(edge)];
  for (const entry of entries) {
    edge = appendLeaf(edge, leafHash(Buffer.from(entry))).edge;
    roots.push(rootOf(edge));
  }
  return roots;
}

test("hazard K6: former roots of the log come from its entries, at most 64 of them are read for each, and only those of the log count", async () => {
  const tree = new AuditTree();
  const reads: number[] = [];
  const readFrom =
    (entries: readonly string[]) =>
    async (from: number, limit: number): Promise<readonly string[]> => {
      reads.push(limit);
      return entries.slice(from, from + limit);
    };
  const expected = rootsOf(ENTRIES);
  const sizes = [...expected.keys()];
  for (const [at, entry] of ENTRIES.entries()) {
    tree.append([entry]);
    assert.deepEqual(tree.root, expected[at + 1]);
  }
  assert.deepEqual(await tree.rootsAt(sizes, readFrom(ENTRIES)), expected);
  assert.deepEqual(reads, [64, 64, 64, 64], "each run of 64 once, the last ones not at all");
  for (const size of sizes) assert.deepEqual(await tree.rootsAt([size], readFrom(ENTRIES)), [expected[size]]);
  for (const size of [301, 1000]) await assert.rejects(tree.rootsAt([size], readFrom(ENTRIES)), RangeError);

  for (const [at, from] of [0, 70, 130, 255].entries()) {
    const changed = ENTRIES.with(from, "another");
    assert.equal(await tree.rootsAt([64 * at + 1], readFrom(changed)), undefined, `entry ${from} is another`);
  }
  assert.equal(await tree.rootsAt([1], readFrom(ENTRIES.slice(0, 63))), undefined, "one is missing");
});

test("a log of twenty thousand entries has the roots that it had", async () => {
  const entries = Array.from({ length: 20_000 }, (_, at) => `entry ${at}`);
  const tree = new AuditTree();
  tree.append(entries);
  const expected = rootsOf(entries);
  const sizes = [1, 16_383, 16_384, 16_385, 19_999, 20_000];
  const read = async (from: number, limit: number) => entries.slice(from, from + limit);
  assert.deepEqual(
    await tree.rootsAt(sizes, read),
    sizes.map((size) => expected[size]),
  );
});

test("hazard C13: entries that change in the database while the CAS runs never get into a checkpoint", async (t) => {
  const path = join(testDirectory(t), "cas.db");
  await using store = await openSqliteRowStore(path);
  const database = await Database.open(store, new RowSeal(new Uint8Array(32).fill(5)));
  for (const at of Array.from({ length: 130 }).keys()) {
    await database.transact((tx) => tx.append({ time: "2026-01-01T00:00:00Z", cas: "c", event: "e", data: { at } }));
  }
  const [root] = await database.logRootsAt([100]);
  assert.deepEqual(root, rootsOf((await database.readLog(0, 100)).map(({ entry }) => entry)).at(-1));
  // The store has the file for itself: another hand is played by what it answers.
  t.mock.method(store, "readLog", async () => [{ index: 64, entry: "{}" }]);
  await assert.rejects(database.logRootsAt([100]), { code: "STORE_TAMPERED" });
  assert.equal((await database.logRootsAt([130])).length, 1, "what is in memory needs no reading");
});
