import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { RowSeal } from "../store/row-seal.ts";
import { openSqliteRowStore } from "../store/sqlite-row-store.ts";
import { Database } from "./database.ts";

const KEY = new Uint8Array(32).fill(5);
const ENTRY = { time: "2026-01-01T00:00:00Z", cas: "c", event: "e", data: {} };

interface Files {
  readonly path: string;
  /** Opens, works, closes. */
  use<T>(work: (database: Database) => Promise<T>): Promise<T>;
  /** Changes the file as its operator could, who has no key. */
  tamper(sql: string): void;
}

function files(t: TestContext): Files {
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-db-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, "cas.db");
  return {
    path,
    use: async (work) => {
      const store = await openSqliteRowStore(path);
      try {
        const database = await Database.open(store, new RowSeal(KEY));
        const result = await work(database);
        await database.settle();
        return result;
      } finally {
        await store[Symbol.asyncDispose]();
      }
    },
    tamper: (sql) => {
      const database = new DatabaseSync(path);
      database.exec(sql);
      database.close();
    },
  };
}

const put = (database: Database, id: string, value: object) => database.transact((tx) => tx.put({ kind: "thing", id }, value));

test("C-4: a transaction is all or nothing, and later ones see what earlier ones wrote", async (t) => {
  await files(t).use(async (database) => {
    await put(database, "a", { n: 1 });
    await assert.rejects(
      database.transact((tx) => {
        tx.put({ kind: "thing", id: "a" }, { n: 2 });
        tx.append(ENTRY);
        throw new Error("no");
      }),
      /no/,
    );
    assert.deepEqual(await database.get({ kind: "thing", id: "a" }), { n: 1 });
    assert.equal(database.state.logSize, 0);
    const increments = Array.from({ length: 50 }, () =>
      database.transact(async (tx) => {
        const { n } = (await tx.get<{ n: number }>({ kind: "thing", id: "a" })) ?? { n: 0 };
        tx.put({ kind: "thing", id: "a" }, { n: n + 1 });
        return tx.append(ENTRY);
      }),
    );
    const sequences = await Promise.all(increments);
    assert.deepEqual(
      sequences,
      Array.from({ length: 50 }, (_, at) => at + 1),
    );
    assert.deepEqual(await database.get({ kind: "thing", id: "a" }), { n: 51 });
    assert.ok(database.state.commit < 20, `group commit: ${database.state.commit} commits for 51 transactions`);
  });
});

test("C-84: when the sink refuses, nothing is committed and the sequence is used again", async (t) => {
  await files(t).use(async (database) => {
    database.sink = { accept: () => Promise.reject(new Error("the log server is away")) };
    const write = () =>
      database.transact((tx) => {
        tx.put({ kind: "thing", id: "a" }, { n: 1 });
        return tx.append(ENTRY);
      });
    await assert.rejects(write(), /log server/);
    assert.equal(await database.get({ kind: "thing", id: "a" }), undefined);
    database.sink = undefined;
    assert.equal(await write(), 1);
  });
});

const tamperings = [
  { what: "a row removed", sql: "DELETE FROM record WHERE id = 'a'" },
  { what: "a row under another name", sql: "UPDATE record SET id = 'c' WHERE id = 'a'" },
  {
    what: "the contents of two rows exchanged",
    sql: "UPDATE record SET sealed = (SELECT sealed FROM record WHERE id = 'b') WHERE id = 'a'",
  },
  { what: "another version", sql: "UPDATE record SET version = version + 1 WHERE id = 'a'" },
  { what: "a row added", sql: "INSERT INTO record SELECT kind, 'new', version, sealed FROM record WHERE id = 'a'" },
  { what: "the state row removed", sql: "DELETE FROM record WHERE kind = 'state'" },
  { what: "an entry of the log changed", sql: "UPDATE log SET entry = replace(entry, 'e', 'f')" },
  { what: "the last entry of the log removed", sql: "DELETE FROM log WHERE position = 1" },
  { what: "an entry added to the log", sql: "INSERT INTO log VALUES (2, '{}')" },
];
for (const { what, sql } of tamperings) {
  test(`hazard C13: the operator's change is detected: ${what}`, async (t) => {
    const { use, tamper } = files(t);
    await use(async (database) => {
      await put(database, "a", { n: 1 });
      await put(database, "b", { n: 2 });
      for (let count = 0; count < 2; count += 1) await database.transact((tx) => tx.append(ENTRY));
    });
    tamper(sql);
    await assert.rejects(
      use(async () => {}),
      { code: "STORE_TAMPERED" },
    );
  });
}

test("hazard C13: a single row put back to an older state of its own is detected", async (t) => {
  const { path, use, tamper } = files(t);
  await use((database) => put(database, "a", { n: "old" }));
  copyFileSync(path, `${path}.old`);
  await use((database) => put(database, "a", { n: "new" }));
  tamper(
    `ATTACH '${path}.old' AS old; UPDATE record SET (version, sealed) = (SELECT version, sealed FROM old.record WHERE id = 'a') WHERE id = 'a'`,
  );
  await assert.rejects(
    use(async () => {}),
    { code: "STORE_TAMPERED" },
  );
});

test("hazard E8: a flipped bit on any page is detected, or was in space that nothing uses", async (t) => {
  const { path, use } = files(t);
  await use(async (database) => {
    for (let count = 0; count < 20; count += 1) await put(database, `r${count}`, { text: "x".repeat(400) });
  });
  const original = readFileSync(path);
  const pageSize = original.readUInt16BE(16);
  let detected = 0;
  for (let page = 0; page * pageSize < original.length; page += 1) {
    const damaged = Buffer.from(original);
    const at = page * pageSize + Math.floor(pageSize * 0.7);
    damaged[at] = (damaged[at] ?? 0) ^ 0x10;
    writeFileSync(path, damaged);
    try {
      await use(async (database) => {
        for (let count = 0; count < 20; count += 1) {
          assert.deepEqual(await database.get({ kind: "thing", id: `r${count}` }), { text: "x".repeat(400) }, "never served wrong");
        }
      });
    } catch (error) {
      assert.match(String((error as { code?: string }).code), /STORE_TAMPERED|STORE_FAILED/);
      detected += 1;
    }
  }
  assert.ok(detected > 0);
});

test("hazard E9: a database of a newer program is refused with the reason, and left as it is", async (t) => {
  const { path, use } = files(t);
  await use((database) => put(database, "a", { n: 1 }));
  const seal = new RowSeal(KEY);
  const file = new DatabaseSync(path);
  const row = file.prepare("SELECT version, sealed FROM record WHERE kind = 'state'").get() ?? assert.fail();
  const version = Number(row["version"]);
  // The driver gives bytes for a blob.
  const sealed = row["sealed"] as Uint8Array;
  const state = JSON.parse(seal.open({ kind: "state", id: "state", version, sealed }).toString());
  const write = (bytes: Uint8Array) => file.prepare("UPDATE record SET sealed = ? WHERE kind = 'state'").run(bytes);
  write(seal.seal({ kind: "state", id: "state" }, version, Buffer.from(JSON.stringify({ ...state, epoch: 2 }))).sealed);
  file.close();
  const before = readFileSync(path);
  await assert.rejects(
    use(async () => {}),
    { code: "STORE_FAILED", message: /written by a newer program/ },
  );
  assert.deepEqual(readFileSync(path), before);
  const again = new DatabaseSync(path);
  again.prepare("UPDATE record SET sealed = ? WHERE kind = 'state'").run(Buffer.concat([Uint8Array.of(2), sealed.subarray(1)]));
  again.close();
  await assert.rejects(
    use(async () => {}),
    { code: "STORE_TAMPERED", message: /its form is 2, known is 1; a newer program wrote it/ },
  );
});
