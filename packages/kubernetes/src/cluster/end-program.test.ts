import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

const programs = [
  { name: "the operator", file: "operator/operator-main.ts", missing: "VOUCHSAFE_CAS_IMAGE" },
  { name: "the node agent", file: "las/las-main.ts", missing: "VOUCHSAFE_NODE_NAME" },
];
for (const { name, file, missing } of programs) {
  test(`${name}, started by hand without its settings, says what is missing, and prints no stack`, () => {
    const { PATH } = process.env;
    const { status, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, "..", file)], { env: { PATH }, encoding: "utf8" });
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`^error\\[E-OPTION-VALUE\\]: ${name} needs .*${missing}.*\\nhelp: Let `, "m"));
    assert.doesNotMatch(stderr, /^\s+at /m);
  });
}
