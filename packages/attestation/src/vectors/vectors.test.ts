import assert from "node:assert/strict";
import { globSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";
import { judgeCase, vectorFamilies } from "./judge-case.ts";

const directory = process.env["VOUCHSAFE_VECTORS"] ?? join(import.meta.dirname, "../../../../../shared/vectors");
const roots = readFiles(join(directory, "roots"));

/** Cases whose `expected.json` is at fault, with what we find instead, and why that is right. */
const FAULTY_EXPECTATIONS = new Map([
  // The user data that the case expects is in the header of an older quote: the file quote.dat of Intel's DCAP 1.3. The case has that of 1.3.1.
  ["sgx/intel-v3-sample-own-root", /^userData: expected "8b390b61\w*", found "ef8f440c\w*"$/],
]);

for (const family of vectorFamilies) {
  test(`field/2026-07-own-fixtures: recorded evidence of ${family} is judged as independent verifiers judged it`, async (context) => {
    const cases = globSync(join(directory, family, "*/expected.json"));
    if (cases.length === 0) context.diagnostic(`no vectors of ${family} at ${directory}: nothing was compared`);
    const wrong: unknown[] = [];
    for (const file of cases) {
      const folder = dirname(file);
      const expected: Record<string, unknown> = JSON.parse(readFileSync(file, "utf8"));
      const verdict = await judgeCase({ family, name: basename(folder), expected, files: readFiles(folder), roots }, new Date());
      const isFaulty = FAULTY_EXPECTATIONS.get(`${family}/${basename(folder)}`)?.test(verdict.reason ?? "") === true;
      if (!verdict.isRight && !isFaulty) wrong.push({ case: basename(folder), ...verdict });
    }
    assert.deepEqual(wrong, []);
  });
}

test("a case of an unknown family is answered wrong", async () => {
  const verdict = await judgeCase({ family: "tarot", name: "x", expected: { expect: "ok" }, files: new Map(), roots }, new Date());
  assert.equal(verdict.isRight, false);
});

function readFiles(folder: string): ReadonlyMap<string, Uint8Array> {
  const names = globSync(join(folder, "*")).length === 0 ? [] : readdirSync(folder);
  return new Map(names.map((name) => [name, Uint8Array.from(readFileSync(join(folder, name)))]));
}
