import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

test("the node agent, started by hand without its settings, says what is missing, and prints no stack", () => {
  const { PATH } = process.env;
  const program = join(import.meta.dirname, "..", "las", "las-main.ts");
  const { status, stderr } = spawnSync(process.execPath, [program], { env: { PATH }, encoding: "utf8" });
  assert.equal(status, 1);
  assert.match(stderr, /^error\[E-OPTION-VALUE\]: the node agent needs .*VOUCHSAFE_NODE_NAME.*\nhelp: Let /m);
  assert.doesNotMatch(stderr, /^\s+at /m);
});
