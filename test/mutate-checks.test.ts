import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { pathToFileURL } from "node:url";
import { findMutants, type Mutant } from "../scripts/mutation/find-mutants.ts";
import { BrokenTests, judgeMutants, type Notice, readTestFile } from "../scripts/mutation/judge-mutants.ts";
import { classifySurvivors, findStaleArguments } from "../scripts/mutation/mutation-report.ts";
import { switches } from "../scripts/mutation/switches.ts";

const CHECKED = `// é: what lies before is counted in bytes
export function check(text: string | undefined, seen: string[], isShort = (length: number): boolean => length < 3): string {
  if (text === undefined) throw new Error("missing");
  seen.push(text);
  if (text !== "" && isShort(text.length)) return "short";
  return ["a", "b"].filter((letter) => text.includes(letter)).join() || "neither";
}
`;

const places = (file: string, source: string) =>
  findMutants(file, source, 0).mutants.map(({ line, change, text }) => `${line} ${change}: ${text}`);

test("hazard A20: a mutation run finds checks, calls that stand alone, operands, conditions and answers of predicates", () => {
  assert.deepEqual(places("check.ts", CHECKED), [
    "2 inverted: length < 3",
    "3 check removed: text === undefined",
    "3 inverted: text === undefined",
    "4 statement removed: seen.push(text)",
    '5 check removed: text !== "" && isShort(text.length)',
    '5 inverted: text !== "" && isShort(text.length)',
    '5 operand removed: text !== ""',
    '5 inverted: text !== ""',
    "5 operand removed: isShort(text.length)",
    "5 inverted: isShort(text.length)",
    "6 inverted: text.includes(letter)",
  ]);
  assert.deepEqual(places("types.ts", "type A = B extends C ? D : E;\nconst f = (x: A): x is D => { return g(x); };\nh?.(f);"), [
    "2 inverted: g(x)",
    "3 statement removed: h?.(f)",
  ]);
});

test("each mutant, switched on, changes what it says and nothing else", async () => {
  const { mutants, instrumented } = findMutants("check.ts", CHECKED, 100);
  const javascript = Buffer.from(stripTypeScriptTypes(instrumented)).toString("base64");
  const { check } = await import(`data:text/javascript;base64,${javascript}`);
  const outcomes = (id: number) => {
    return [undefined, "", "ab", "abc", "xyz"].map((text) => {
      const seen: string[] = [];
      switches.active = id;
      try {
        return `${check(text, seen)} ${seen.length}`;
      } catch (error) {
        return String(error).replace(/Type.*/, "crash");
      } finally {
        switches.active = -1;
      }
    });
  };
  const plain = ["Error: missing", "neither 1", "short 1", "a,b 1", "neither 1"];
  assert.deepEqual(outcomes(-1), plain);
  const expected = [
    ["Error: missing", "neither 1", "a,b 1", "short 1", "short 1"],
    ["crash", ...plain.slice(1)],
    ["crash", "Error: missing", "Error: missing", "Error: missing", "Error: missing"],
    ["Error: missing", "neither 0", "short 0", "a,b 0", "neither 0"],
    ["Error: missing", "neither 1", "a,b 1", "a,b 1", "neither 1"],
    ["Error: missing", "short 1", "a,b 1", "short 1", "short 1"],
    ["Error: missing", "short 1", "short 1", "a,b 1", "neither 1"],
    ["Error: missing", "short 1", "a,b 1", "a,b 1", "neither 1"],
    ["Error: missing", "neither 1", "short 1", "short 1", "short 1"],
    ["Error: missing", "neither 1", "a,b 1", "short 1", "short 1"],
    ["Error: missing", "a,b 1", "short 1", "neither 1", "a,b 1"],
  ];
  assert.deepEqual(
    mutants.map(({ id }) => outcomes(id)),
    expected,
  );
});

/** Judges one source by one file of tests. */
async function judge(t: TestContext, source: string, tests: string, patienceMs = 2_000) {
  const root = mkdtempSync(join(tmpdir(), "vouchsafe-mutation-test-"));
  t.after(() => rmSync(root, { recursive: true }));
  const { mutants, instrumented } = findMutants("subject.ts", source, 0);
  writeFileSync(join(root, "subject.ts"), source);
  writeFileSync(join(root, "instrumented.ts"), instrumented);
  const head =
    'import assert from "node:assert/strict";\nimport { after, before, test } from "node:test";\nimport * as subject from "./subject.ts";\n';
  writeFileSync(join(root, "subject.test.ts"), head + tests);
  const notices = new Map<string, Notice>();
  const nameOf = ({ line, change }: Mutant) => `${line} ${change}`;
  const run = {
    root,
    patienceMs,
    heapMib: 128,
    isArgued: () => false,
    instrumented: { [pathToFileURL(join(root, "subject.ts")).href]: join(root, "instrumented.ts") },
    onNotice: (mutant: Mutant, notice: Notice) => void notices.set(nameOf(mutant), notice),
  };
  const facts = await readTestFile(join(root, "subject.test.ts"), run);
  const survivors = await judgeMutants(mutants, [facts], run);
  return { notices, survivors: survivors.map(nameOf) };
}

test("what a test fails for is noticed, what none fails for survives, whether one comes past it or not", async (t) => {
  const source = "export const limit = (n: number) => {\n  if (n > 9) throw new Error();\n  if (n < 0) return 0;\n  return n;\n};\n";
  const tests = "test('limit', () => { assert.throws(() => subject.limit(10)); assert.equal(subject.limit(1), 1); });\n";
  const { notices, survivors } = await judge(t, source, tests);
  assert.deepEqual([...notices.keys()].sort(), ["2 check removed", "2 inverted", "3 inverted"]);
  assert.deepEqual(survivors, ["3 check removed"]);
});

test("a change that never ends, one that only loading shows, and one that ends the process are noticed", async (t) => {
  const source = [
    "export const wait = (n: number) => { while (n > 0) n -= 1; };",
    "export const sign = -1 < 0 ? 'negative' : 'positive';",
    "export const stay = (n: number) => { if (n === 1) process.exit(3); return n; };",
  ].join("\n");
  const tests =
    "test('wait', () => subject.wait(0));\ntest('sign', () => assert.equal(subject.sign, 'negative'));\ntest('stay', () => void subject.stay(2));\n";
  const { notices, survivors } = await judge(t, source, tests);
  assert.deepEqual(survivors, ["3 check removed", "3 statement removed"]);
  assert.match(notices.get("3 inverted")?.failure ?? "", /process ended/);
  assert.match(notices.get("2 inverted")?.failure ?? "", /'positive' !== 'negative'|\+ 'positive'/);
  assert.match(notices.get("1 inverted")?.failure ?? "", /no end within/);
});

test("a change that fills memory is noticed by its end, long before the machine's memory is full", async (t) => {
  const source =
    "export const count = (n: number): number => { const all = []; while (n > 0) { n -= 1; all.push(new Array(1000).fill(n)); } return all.length; };";
  const { notices } = await judge(t, source, "test('count', () => assert.equal(subject.count(0), 0));\n", 600_000);
  assert.match(notices.get("1 inverted")?.failure ?? "", /process ended/);
});

test("what a mutant leaves behind in its process is not held against another, and a test that runs only once is given new processes", async (t) => {
  const source = [
    "const kept = new Map<number, boolean>();",
    "export const isEven = (n: number): boolean => { const known = kept.get(n) ?? n % 2 === 0; kept.set(n, known); return known; };",
    "export const isOdd = (n: number): boolean => { return n % 2 === 1; };",
  ].join("\n");
  const tests = [
    "test('even', () => { assert.equal(subject.isEven(2), true); });",
    "let runs = 0;",
    "test('odd, once', () => { assert.equal(runs++, 0); assert.equal(subject.isOdd(2), false); });",
  ].join("\n");
  const { notices, survivors } = await judge(t, source, tests);
  assert.deepEqual([...notices.keys()].sort(), ["2 inverted", "3 inverted"]);
  assert.deepEqual(survivors, ["2 statement removed"]);
});

test("tests that fail without any change judge nothing", async (t) => {
  await assert.rejects(judge(t, "export const one = 1;", "test('one', () => assert.equal(subject.one, 2));"), BrokenTests);
  await assert.rejects(judge(t, "export const one = 1;", "throw new Error('broken');"), BrokenTests);
});

test("an argument covers one survivor, and one that none needs is told", () => {
  const [first, second] = findMutants("a.ts", "if (x) y = 1;\nif (x) y = 2;\n", 0).mutants.filter(({ change }) => change === "inverted");
  assert.ok(first !== undefined && second !== undefined);
  const why = { file: "a.ts", change: "inverted", text: "x", why: "…" } as const;
  const survivors = [first, second].map((mutant) => ({ mutant, isReached: true }));
  const outcomes = classifySurvivors(survivors, [why]);
  assert.deepEqual(
    outcomes.map(({ kind }) => kind),
    ["equivalent", "survived"],
  );
  assert.deepEqual(findStaleArguments(outcomes, [why]), []);
  assert.deepEqual(findStaleArguments(outcomes, [why, why, { ...why, file: "elsewhere.ts" }]), [why]);
});
