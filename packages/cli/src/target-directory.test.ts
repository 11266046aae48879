import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { TargetDirectory } from "./target-directory.ts";

function place(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-target-"));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return join(directory, "target");
}

test("CL-29, 25a: a second run waits, then says E-TARGET-LOCKED with the process", async (context) => {
  const path = place(context);
  const first = await TargetDirectory.open(path);
  await assert.rejects(TargetDirectory.open(path, 300), { code: "E-TARGET-LOCKED", message: new RegExp(`process ${process.pid}`) });
  const waiting = TargetDirectory.open(path, 10_000);
  await first.close();
  await (await waiting).close();
  assert.ok(!existsSync(join(path, ".lock")));
});

test("CL-29: the lock of a run that died is taken over", async (context) => {
  const path = place(context);
  await (await TargetDirectory.open(path)).close();
  writeFileSync(join(path, ".lock"), "2147483646");
  await (await TargetDirectory.open(path, 2000)).close();
});

test("CL-28: a directory is replaced as a whole, with the mode asked for; what failed half-way leaves the former one", async (context) => {
  const target = await TargetDirectory.open(place(context));
  await target.replace(
    "helm",
    new Map([
      ["a.yaml", "1"],
      ["sub/b.yaml", "2"],
    ]),
  );
  await assert.rejects(
    target.replace(
      "helm",
      new Map([
        ["c.yaml", "3"],
        ["c.yaml/d.yaml", "4"],
      ]),
    ),
  );
  assert.deepEqual(readdirSync(target.file("helm")).sort(), ["a.yaml", "sub"]);
  await target.replace("helm", new Map([["c.yaml", "3"]]), 0o600);
  assert.deepEqual(readdirSync(target.file("helm")), ["c.yaml"]);
  assert.equal(statSync(target.file("helm", "c.yaml")).mode & 0o777, 0o600);
  await target.close();
});
