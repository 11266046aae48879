import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Runs the import check with one file planted in a room, and gives what it reported. */
function checkWithPlantedFile(path: string, text: string): { status: number | null; output: string } {
  const file = `${root}/${path}`;
  writeFileSync(file, text);
  try {
    const run = spawnSync(process.execPath, ["scripts/check-imports.ts", path], { cwd: root, encoding: "utf8" });
    return { status: run.status, output: run.stdout + run.stderr };
  } finally {
    rmSync(file);
  }
}

test("the import check refuses a room that imports up the list", () => {
  const { status, output } = checkWithPlantedFile("packages/policy/src/planted-upward.ts", 'import "@vouchsafe/cas";\n');
  assert.notEqual(status, 0);
  assert.match(output, /policy-imports-down-the-list/);
});

test("the import check refuses files in a pure room", () => {
  const { status, output } = checkWithPlantedFile("packages/policy/src/planted-impure.ts", 'import "node:fs";\n');
  assert.notEqual(status, 0);
  assert.match(output, /policy-is-pure/);
});

test("the import check keeps the pure verifier away from the room that fetches collateral", () => {
  const { status, output } = checkWithPlantedFile("packages/attestation/src/planted-fetch.ts", 'import "@vouchsafe/collateral";\n');
  assert.notEqual(status, 0);
  assert.match(output, /attestation-imports-down-the-list/);
});
