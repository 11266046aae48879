import assert from "node:assert/strict";
import { globSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";
import { encodeUtf8 } from "../core/bytes.ts";
import { hash } from "../crypto/current-provider.ts";
import { eventLogBytes } from "../testing/mint-event-log.ts";
import { mintSnp } from "../testing/mint-snp.ts";
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

test("a case deviates where any of its fields, facts or files is another", async (context) => {
  for (const family of vectorFamilies) {
    const file = globSync(join(directory, family, "*/expected.json"))
      .sort()
      .find((candidate) => /"expect": "ok".*"fields"/s.test(readFileSync(candidate, "utf8")));
    if (file === undefined) {
      context.diagnostic(`no case of ${family} with fields at ${directory}`);
      continue;
    }
    const folder = dirname(file);
    const files = readFiles(folder);
    const expected: Record<string, unknown> = JSON.parse(readFileSync(file, "utf8"));
    const isRight = async (changed: object, given = files) =>
      (await judgeCase({ family, name: basename(folder), expected: { ...expected, ...changed }, files: given, roots }, new Date())).isRight;
    assert.equal(await isRight({}), true, file);
    for (const fields of withOneChanged(expected["fields"]))
      assert.equal(await isRight({ fields }), false, `${file} ${JSON.stringify(fields)}`);
    for (const fact of ["tcbStatus", "platformTcbStatus", "qeTcbStatus", "trailing_bytes", "coseTag18", "endorsementKey", "format"]) {
      if ((expected[fact] ?? null) !== null) assert.equal(await isRight({ [fact]: "another" }), false, `${file} ${fact}`);
    }
    const [name = "", bytes = new Uint8Array(0)] = [...files].find(([candidate]) => candidate !== "expected.json") ?? [];
    assert.equal(await isRight({}, new Map([...files, [name, Uint8Array.of(...bytes, 0)]])), false, `${file} with ${name} changed`);
    files.delete(name);
    assert.equal(await isRight({}), false, `${file} without ${name}`);
  }
});

test("fields alone are compared whatever the verdict, and evidence that nobody can read has none", async () => {
  const { report, endorsementKey, signer, anchors } = mintSnp();
  const chain = [
    ["vcek.der", endorsementKey.der],
    ["ask.pem", pemOf(signer.der)],
    ["ark.pem", pemOf(anchors[0]?.der ?? assert.fail())],
  ] as const;
  const judge = (fields: object, bytes: Uint8Array) => {
    const expected = { expect: "fields only", fields, verify_at: "2020-01-01T00:00:00Z" };
    return judgeCase({ family: "sev-snp", name: "x", expected, roots, files: new Map([["report.bin", bytes], ...chain]) }, new Date());
  };
  assert.equal((await judge({ version: 3, vmpl: 0 }, report)).isRight, true);
  assert.equal((await judge({ version: 2 }, report)).isRight, false);
  assert.equal((await judge({ version: 3 }, report.subarray(1))).isRight, false);
});

test("of a log whose registers hold, data that were changed are found", async () => {
  const separator = (data: Uint8Array) => ({ register: 1, type: 4, digests: { sha384: hash("sha384", Uint8Array.of(0, 0, 0, 0)) }, data });
  const outcome = async (data: Uint8Array) => {
    const files = new Map([["eventlog.bin", eventLogBytes(["sha384"], [separator(data)])]]);
    return (await judgeCase({ family: "eventlog", name: "x", expected: { expect: "ok" }, files, roots }, new Date())).found;
  };
  assert.equal(await outcome(Uint8Array.of(0, 0, 0, 0)), "ok");
  assert.equal(await outcome(Uint8Array.of(0, 0, 0, 1)), "event-digest-mismatch");
});

const pemOf = (der: Uint8Array) => encodeUtf8(`-----BEGIN CERTIFICATE-----\n${der.toBase64()}\n-----END CERTIFICATE-----\n`);

/** The same value with one of its leaves changed, or one more. */
function* withOneChanged(value: unknown): Generator<unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    yield "another";
    return;
  }
  yield { ...value, "not read": 1 };
  for (const [name, member] of Object.entries(value)) for (const changed of withOneChanged(member)) yield { ...value, [name]: changed };
}

function readFiles(folder: string): Map<string, Uint8Array> {
  const names = globSync(join(folder, "*")).length === 0 ? [] : readdirSync(folder);
  return new Map(names.map((name) => [name, Uint8Array.from(readFileSync(join(folder, name)))]));
}
