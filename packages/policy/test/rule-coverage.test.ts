import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { BAD_INPUTS, BAD_UPLOADS } from "./bad-inputs.ts";

const RULES = 199;
const ROOMS = join(import.meta.dirname, "../..");

/** Rules about storing, attesting and running, which other rooms prove. */
const ELSEWHERE = new Map([
  ["cas", [39, 41, 42, 46, 81, 85, 93, 94, 149, 158, 161, 184, 193]],
  ["runtime", [58]],
  ["mesh", [196]],
  // The CAS refuses documents that import from an external vault (SL-151 is tested here).
  ["nobody", [152, 153]],
]);

function rulesNamedByTests(): Set<number> {
  const files = globSync(["policy/**/*.test.ts", "secrets/**/*.test.ts"], { cwd: ROOMS, exclude: ["**/node_modules"] });
  const titles = files.flatMap((file) =>
    [...readFileSync(join(ROOMS, file), "utf8").matchAll(/\btest\(\s*["`]([^"`\n]*)/g)].map(([, title = ""]) => title),
  );
  const fromTables = [...BAD_INPUTS, ...BAD_UPLOADS].map(([, rule]) => rule);
  return new Set([...titles, ...fromTables].flatMap((text) => [...text.matchAll(/SL-([0-9]+)/g)].map(([, number]) => Number(number))));
}

test("every rule of the language is named by a test, here or in the room that carries it out", () => {
  const named = rulesNamedByTests();
  const elsewhere = new Set([...ELSEWHERE.values()].flat());
  const missing = Array.from({ length: RULES }, (_, index) => index + 1).filter((rule) => !named.has(rule) && !elsewhere.has(rule));
  assert.deepEqual(missing, []);
});
