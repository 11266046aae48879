import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { recoveryContainer, recoveryDirectory } from "./recovery-container.ts";

const ID = "0123456789abcdef-00000001";
const OLD = { "cas.db": "old", "cas.db-wal": "old", "cas.key-store": "old", "platform.key": "kept" };

function volume(
  t: TestContext,
  snapshot: Readonly<Record<string, string>>,
): { readonly path: string; readonly read: (name: string) => string } {
  const path = mkdtempSync(join(tmpdir(), "recovery-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(OLD)) writeFileSync(join(path, name), text);
  mkdirSync(recoveryDirectory(path, ID));
  for (const [name, text] of Object.entries({ ...snapshot, complete: "" })) writeFileSync(join(recoveryDirectory(path, ID), name), text);
  return { path, read: (name) => readFileSync(join(path, name), "utf8") };
}

/** Runs the container's command; `breaks` makes one of its programs fail when it is called for the given time. */
function run(path: string, breaks?: { readonly program: string; readonly call: number }): number | null {
  const { command } = recoveryContainer(ID, {
    ...{ image: "i", imagePullPolicy: "Always", mountPath: path },
    files: ["cas.db", "cas.key-store", "platform.key"],
  }) as { command: string[] };
  const [shell = "", dash = "", script = "", ...args] = command;
  const trap =
    breaks === undefined
      ? ""
      : `calls=0; ${breaks.program}() { calls=$((calls + 1)); [ $calls != ${breaks.call} ] || exit 9; command ${breaks.program} "$@"; }\n`;
  return spawnSync(shell, [dash, trap + script, ...args], { stdio: "ignore" }).status;
}

test("C-77: the snapshot takes the place of the database, whose files are moved aside; the platform key stays", (t) => {
  const { path, read } = volume(t, { "cas.db": "new", "cas.key-store": "new" });
  assert.equal(run(path), 0);
  assert.deepEqual(["cas.db", "cas.key-store", "platform.key"].map(read), ["new", "new", "kept"]);
  assert.equal(existsSync(join(path, "cas.db-wal")), false);
  assert.equal(read(`before-${ID}/cas.db`), "old");
  writeFileSync(join(path, "cas.db"), "newer");
  assert.equal(run(path), 0, "a pod that starts again");
  assert.equal(read("cas.db"), "newer");
});

test("C-77: a platform key that was brought replaces the one of the volume, which is kept aside", (t) => {
  const { path, read } = volume(t, { "cas.db": "new", "cas.key-store": "new", "platform.key": "brought" });
  assert.equal(run(path), 0);
  assert.deepEqual([read("platform.key"), read(`before-${ID}/platform.key`)], ["brought", "kept"]);
});

test("C-77: interrupted at any step, it ends the same when it is started again, and loses no file", (t) => {
  for (const program of ["mv", "cp", "chmod", "mkdir", "sync", "rm"]) {
    for (let call = 1; call <= 7; call++) {
      const { path, read } = volume(t, { "cas.db": "new", "cas.key-store": "new", "platform.key": "brought" });
      run(path, { program, call });
      assert.equal(run(path), 0, `${program}, call ${call}`);
      assert.deepEqual(["cas.db", "cas.key-store", "platform.key"].map(read), ["new", "new", "brought"], `${program}, call ${call}`);
      const before = ["cas.db", "cas.db-wal", "cas.key-store", "platform.key"].map((name) => read(`before-${ID}/${name}`));
      assert.deepEqual(before, ["old", "old", "old", "kept"], `${program}, call ${call}`);
    }
  }
});
