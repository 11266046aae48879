import assert from "node:assert/strict";
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { isOutdated } from "./runtime-bundle.ts";

test("the runtime's bundle is made anew when a file that it was made from is newer or gone, or when nobody knows them", (t) => {
  const root = mkdtempSync(join(tmpdir(), "vouchsafe-bundle-"));
  t.after(() => rmSync(root, { recursive: true }));
  const bundle = join(root, "main.js");
  const write = (name: string, second: number, content = "") => {
    writeFileSync(join(root, name), content);
    utimesSync(join(root, name), second, second);
  };
  const state = () => isOutdated(bundle, root);
  assert.equal(state(), true, "there is none");
  write("a.ts", 100);
  write("b.ts", 200);
  write("main.js", 300);
  assert.equal(state(), true, "made by a program that left no list");
  write("main.js.inputs.json", 300, '["a.ts", "b.ts"]');
  assert.equal(state(), false);
  write("b.ts", 301);
  assert.equal(state(), true);
  write("b.ts", 299);
  assert.equal(state(), false);
  rmSync(join(root, "a.ts"));
  assert.equal(state(), true);
  write("main.js.inputs.json", 300, '["b.t');
  assert.equal(state(), true, "half a list");
});
