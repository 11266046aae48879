import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

test("the operator, started by hand without its settings, says what is missing, and prints no stack", () => {
  const { PATH } = process.env;
  const program = join(import.meta.dirname, "operator-main.ts");
  const { status, stderr } = spawnSync(process.execPath, [program], { env: { PATH }, encoding: "utf8" });
  assert.equal(status, 1);
  assert.match(stderr, /^error\[E-OPTION-VALUE\]: the operator needs .*VOUCHSAFE_CAS_IMAGE.*\nhelp: Let /m);
  assert.doesNotMatch(stderr, /^\s+at /m);
});
