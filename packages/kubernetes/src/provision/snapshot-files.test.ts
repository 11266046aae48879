import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { completeSnapshots, readSnapshot } from "./snapshot-files.ts";

const DATABASE = "SQLite format 3\0 and so on";

function directoryWith(t: TestContext, files: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), "snapshot-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(directory, name, ".."), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
  return directory;
}

test("C-77: the newest complete snapshot counts; what is being written, and anything else, does not", () => {
  const names = ["2026-11-28T12-00-00.000Z-9", "2026-11-28T12-01-00.000Z-10", "2026-11-28T12-02-00.000Z-11.part", "lost+found", ""];
  assert.deepEqual(completeSnapshots(names), names.slice(0, 2));
});

test("C-77: a snapshot is read from its directory or from one of many, with the platform key where it lies beside", async (t) => {
  const older = { "2026-11-28T12-00-00.000Z-9/cas.db": `${DATABASE} old`, "2026-11-28T12-00-00.000Z-9/cas.key-store": "{}" };
  const newer = { "2026-11-28T12-01-00.000Z-10/cas.db": `${DATABASE} new`, "2026-11-28T12-01-00.000Z-10/cas.key-store": "{}" };
  const many = directoryWith(t, { ...older, ...newer });
  const found = await readSnapshot(many);
  assert.match(Buffer.from(found.files.get("cas.db") ?? []).toString(), /new$/);
  assert.equal((await readSnapshot(found.directory)).fingerprint, found.fingerprint);
  const withKey = await readSnapshot(directoryWith(t, { "cas.db": DATABASE, "cas.key-store": "{}", "platform.key": "00" }));
  assert.deepEqual([...withKey.files.keys()], ["cas.db", "cas.key-store", "platform.key"]);
  assert.notEqual(withKey.fingerprint, found.fingerprint);
});

const wrong = [
  { what: "without a key store", files: { "cas.db": DATABASE }, says: /holds no cas\.key-store/ },
  { what: "without a database", files: { "cas.key-store": "{}" }, says: /holds no cas\.db/ },
  { what: "with another database", files: { "cas.db": "PK", "cas.key-store": "{}" }, says: /is no database of a CAS/ },
  { what: "with an empty key store", files: { "cas.db": DATABASE, "cas.key-store": "" }, says: /has 0 bytes/ },
];
for (const { what, files, says } of wrong) {
  test(`C-77: a directory ${what} is no snapshot`, async (t) => {
    await assert.rejects(readSnapshot(directoryWith(t, files)), { code: "E-SNAPSHOT", message: says });
  });
}
test("C-77: a directory that is not there is named", async () => {
  await assert.rejects(readSnapshot("/nowhere/at/all"), { code: "E-SNAPSHOT", message: /nowhere/ });
});
