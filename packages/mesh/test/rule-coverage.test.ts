import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const RULES = 132;
const ROOT = join(import.meta.dirname, "../../..");

/** Numbers of the rules that strings of test files name: `MF-5`, `MF-64 to MF-66`. Comments do not count. */
function rulesNamedByTests(): Set<number> {
  const files = globSync("{packages,test}/**/*.test.ts", { cwd: ROOT, exclude: ["**/node_modules"] });
  const texts = files.flatMap((file) => {
    const code = readFileSync(join(ROOT, file), "utf8").replace(/^\s*(?:\/\/|\*|\/\*).*$/gm, "");
    return [...code.matchAll(/["`](?:[^"`\n]|\\.)*\bMF-\d(?:[^"`\n]|\\.)*["`]/g)].map(([text]) => text);
  });
  const named = new Set<number>();
  for (const text of texts) {
    for (const [, from = "", to = from] of text.matchAll(/\bMF-(\d+)a?(?: to MF-(\d+))?/g))
      for (let rule = Number(from); rule <= Number(to); rule++) named.add(rule);
  }
  return named;
}

test("every rule of the manifests is named by a test, in the room that carries it out", () => {
  const named = rulesNamedByTests();
  const missing = Array.from({ length: RULES }, (_, index) => index + 1).filter((rule) => !named.has(rule));
  assert.deepEqual(missing, []);
});
