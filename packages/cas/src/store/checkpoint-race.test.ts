import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { Database } from "../database/database.ts";
import { testDirectory } from "../testing/cas-command.ts";
import { RowSeal } from "./row-seal.ts";
import { assertSqliteVersion, openSqliteRowStore } from "./sqlite-row-store.ts";

const KEY = new Uint8Array(32).fill(5);
const WRITERS = 8;
const COMMITS = 40;
/** Tries to merge the journal as often as it can, until it is ended; says when it has begun. */
const CHECKPOINTS = `
import { DatabaseSync } from "node:sqlite";
process.stdout.write("begun");
for (;;) {
  try {
    const database = new DatabaseSync(process.argv[1], { timeout: 0 });
    for (let count = 0; count < 20; count += 1) database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    database.close();
  } catch {}
  await new Promise((resolve) => setImmediate(resolve));
}`;

test("hazard E15: a process that checkpoints all the time beside eight writers loses no commit", async (t) => {
  const path = join(testDirectory(t), "cas.db");
  const store = await openSqliteRowStore(path);
  const database = await Database.open(store, new RowSeal(KEY));
  const disturber = spawn(process.execPath, ["--input-type=module", "--disable-warning=ExperimentalWarning", "-e", CHECKPOINTS, path], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => disturber.kill("SIGKILL"));
  await once(disturber.stdout, "data");
  const writers = Array.from({ length: WRITERS }, async (_, writer) => {
    for (let n = 0; n < COMMITS; n += 1) {
      await database.transact((tx) => tx.put({ kind: "n", id: `${writer}-${n}` }, { n, padding: "x".repeat(500) }));
    }
  });
  await Promise.all(writers);
  assert.equal(disturber.exitCode, null, "it was there all the time");
  const ended = once(disturber, "exit");
  disturber.kill("SIGKILL");
  await ended;
  await store[Symbol.asyncDispose]();
  const file = new DatabaseSync(path);
  assert.deepEqual({ ...file.prepare("PRAGMA integrity_check").get() }, { integrity_check: "ok" });
  file.close();
  const again = await openSqliteRowStore(path);
  t.after(() => again[Symbol.asyncDispose]());
  const reopened = await Database.open(again, new RowSeal(KEY));
  assert.equal(reopened.ids("n").size, WRITERS * COMMITS);
});

test("hazard E15: versions of SQLite that can lose a commit to a checkpoint are refused", () => {
  for (const version of ["3.51.3", "3.51.10", "3.52.0", "4.0.0"]) assertSqliteVersion(version);
  for (const version of ["3.51.2", "3.7.0", "2.99.99", ""]) {
    assert.throws(() => assertSqliteVersion(version), { code: "STORE_FAILED", message: /can lose committed writes/ }, version);
  }
});
