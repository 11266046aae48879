import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { BAD_INPUTS, BAD_UPLOADS } from "./bad-inputs.ts";

const RULES = 199;
const ROOT = join(import.meta.dirname, "../../..");

function rulesNamedByTests(): Set<number> {
  const files = globSync("{packages,test}/**/*.test.ts", { cwd: ROOT, exclude: ["**/node_modules"] });
  const titles = files.flatMap((file) =>
    [...readFileSync(join(ROOT, file), "utf8").matchAll(/\btest\(\s*["`]([^"`\n]*)/g)].map(([, title = ""]) => title),
  );
  const fromTables = [...BAD_INPUTS, ...BAD_UPLOADS].map(([, rule]) => rule);
  return new Set([...titles, ...fromTables].flatMap((text) => [...text.matchAll(/SL-([0-9]+)/g)].map(([, number]) => Number(number))));
}

test("every rule of the language is named by a test, in the room that carries it out", () => {
  const named = rulesNamedByTests();
  const missing = Array.from({ length: RULES }, (_, index) => index + 1).filter((rule) => !named.has(rule));
  assert.deepEqual(missing, []);
});
