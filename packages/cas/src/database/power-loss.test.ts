import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { RowSeal } from "../store/row-seal.ts";
import { openSqliteRowStore } from "../store/sqlite-row-store.ts";
import { testDirectory } from "../testing/cas-command.ts";
import { COMMIT_KEY } from "../testing/commit-child.ts";
import { type DiskState, readTrace, statesAfter, TRACED_CALLS } from "../testing/traced-writes.ts";
import { Database } from "./database.ts";

const CHILD = join(import.meta.dirname, "..", "testing", "commit-child.ts");

/** Runs the committing process under strace with these options; returns what it said. */
function runTraced(strace: readonly string[], words: readonly string[]): string[] {
  const { stdout, stderr, error } = spawnSync("strace", ["-f", "-qq", ...strace, process.execPath, CHILD, ...words], { encoding: "utf8" });
  if (error !== undefined) throw new Error(`strace is needed: run scripts/setup.sh test (${error.message})`);
  assert.equal(/strace: /.test(stderr), false, stderr);
  return stdout.trimEnd().split("\n");
}

interface Found {
  readonly n: number;
  readonly log: readonly string[];
}

/** Opens the database as a start of the CAS does, checks that no change is there by half, and makes another one. */
async function open(path: string): Promise<Found> {
  const store = await openSqliteRowStore(path);
  try {
    const database = await Database.open(store, new RowSeal(COMMIT_KEY));
    const [a, b] = await Promise.all(["a", "b"].map((id) => database.get<{ n: number }>({ kind: "number", id })));
    assert.equal(a?.n, b?.n, "half a change");
    const log = (await database.readLog(0, 100)).map(({ entry }) => entry);
    assert.equal(log.length, a?.n ?? 0, "log and rows belong together");
    await database.transact((tx) => tx.put({ kind: "number", id: "c" }, { n: 0 }));
    return { n: a?.n ?? 0, log };
  } finally {
    await store[Symbol.asyncDispose]();
  }
}

test("hazard E2: whatever a power cut leaves of the unsynced writes, in whatever order, every acknowledged change is there and none by half", async (t) => {
  const directory = testDirectory(t);
  const traceFile = join(testDirectory(t), "trace");
  runTraced(["-y", "-xx", "-s", "1000000", "-e", `trace=${TRACED_CALLS}`, "-o", traceFile], [join(directory, "cas.db"), "4"]);
  const events = readTrace(readFileSync(traceFile, "utf8"), directory);
  assert.ok(events.filter(({ kind }) => kind === "sync").length > 8, "the trace was understood");
  const scratch = join(testDirectory(t), "disk");
  const seen = new Set<string>();
  let acknowledged = 0;
  for (const [at, event] of events.entries()) {
    if (event.kind === "said") acknowledged = Number(/^done (\d+)/.exec(event.text)?.[1] ?? acknowledged);
    const isPoint = event.kind === "sync" || event.kind === "said" || events[at + 1]?.kind === "sync";
    if (!isPoint) continue;
    for (const state of statesAfter(events, at + 1)) {
      if (!isNew(seen, state, acknowledged)) continue;
      rmSync(scratch, { recursive: true, force: true });
      mkdirSync(scratch);
      for (const [file, bytes] of state) writeFileSync(join(scratch, file), bytes);
      const { n } = await open(join(scratch, "cas.db"));
      assert.ok(n === acknowledged || n === acknowledged + 1, `after event ${at} (${event.kind}): ${n}, acknowledged ${acknowledged}`);
    }
  }
  assert.equal(acknowledged, 4);
  assert.ok(seen.size > 100, `${seen.size} states`);
});

function isNew(seen: Set<string>, state: DiskState, acknowledged: number): boolean {
  const hash = createHash("sha256").update(String(acknowledged));
  for (const [file, bytes] of state) hash.update(`${file} ${bytes.length}\n`).update(bytes);
  const digest = hash.digest("hex");
  if (seen.has(digest)) return false;
  seen.add(digest);
  return true;
}

// The first eight syncs make the file and its tables; then each commit has one.
for (const when of [9, 10, 12]) {
  test(`hazard E4: when sync ${when} fails once and the next would succeed, nothing more is changed until the database is read anew`, async (t) => {
    const path = join(testDirectory(t), "cas.db");
    const said = runTraced(["-o", "/dev/null", "-e", "trace=fsync", "-e", `inject=fsync:error=EIO:when=${when}`], [path, "6"]);
    const done = said.filter((line) => line.startsWith("done")).length;
    const refused = said.filter((line) => line.startsWith("refused"));
    assert.ok(refused.length > 0, said.join("; "));
    assert.equal(done + refused.length, 6);
    for (const line of refused) assert.match(line, /STORE_BROKEN/);
    assert.ok(said.indexOf(refused[0] ?? "") === done, `after the first failure everything is refused: ${said.join("; ")}`);
    const { n } = await open(path);
    assert.ok(n === done || n === done + 1, "what was being written may be there, nothing else");
  });
}

for (const when of [9, 10, 11, 12]) {
  test(`hazard K2: a crash at sync ${when} leaves either both the change and its entry of the log, or an entry at most`, async (t) => {
    const directory = testDirectory(t);
    const path = join(directory, "cas.db");
    const sink = join(directory, "audit.log");
    const said = runTraced(["-o", "/dev/null", "-e", "trace=fsync", "-e", `inject=fsync:signal=KILL:when=${when}`], [path, "6", sink]);
    const done = said.filter((line) => line.startsWith("done")).length;
    assert.ok(done < 6, "it was killed");
    const { n, log } = await open(path);
    assert.ok(n === done || n === done + 1);
    const written = readFileSync(sink, "utf8").split("\n").slice(0, -1);
    assert.deepEqual(written.slice(0, n), log, "every change in force has its entry, in order");
    assert.ok(written.length <= n + 1, "one entry more at most: that of the change that was not made");
  });
}
