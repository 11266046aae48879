import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const ROOT = join(import.meta.dirname, "..");

/** Rules of the CAS, of the patient service, of the command line with the cluster's objects, and why a rule has no test. */
const RULES: readonly {
  readonly of: string;
  readonly prefix: string;
  /** 1 unless given. */
  readonly first?: number;
  readonly last: number;
  readonly withoutTest: ReadonlyMap<number, string>;
}[] = [
  {
    of: "the CAS",
    prefix: "C",
    last: 98,
    withoutTest: new Map([
      [95, "chunk and key lengths are options of the fspf commands, which this release does not have: trees of code have one of each"],
      [97, "a program's main file system is read-only, and volumes are refused at its start (R-VIEW)"],
    ]),
  },
  {
    of: "the patient service",
    prefix: "PS",
    last: 54,
    withoutTest: new Map([
      [3, "programs of published tutorials are not ours to ship; their scripts run on the cluster with programs written anew (AC-11)"],
      [35, "says what the tutorial's program answers"],
      [36, "says what the tutorial's program answers"],
      [37, "says what the tutorial's program answers"],
      [47, "a refused start is shown on the cluster (AC-9) and by the launcher's own tests (C-44)"],
    ]),
  },
  {
    of: "the command line",
    prefix: "CL",
    last: 41,
    withoutTest: new Map(),
  },
  {
    of: "kubectl provision and the cluster's objects",
    prefix: "CL",
    first: 42,
    last: 73,
    withoutTest: new Map(),
  },
  {
    of: "the tutorials' scripts and what they call",
    prefix: "CL",
    first: 74,
    last: 106,
    withoutTest: new Map([
      [75, "says in which colours the scripts print"],
      [87, "the scripts make the directory writable for everybody; nothing of the product reads or writes there"],
      [103, "never reached: the scripts install sconectl only where it is missing"],
      [105, "the registry of the tests has a password; that a missing secret alone stops nothing is the kubelet's doing"],
    ]),
  },
];

/** Every string of the test files; comments do not count. */
function* textsOfTests(): Generator<string> {
  const files = globSync("{packages,test}/**/{*.test,*-contract}.ts", { cwd: ROOT, exclude: ["**/node_modules"] });
  for (const file of files) {
    if (file === "test/rule-coverage.test.ts") continue;
    const code = readFileSync(join(ROOT, file), "utf8").replace(/^\s*(?:\/\/|\*|\/\*).*$/gm, "");
    for (const [text] of code.matchAll(/["`](?:[^"`\n]|\\.)*["`]/g)) yield text;
  }
}

/** Numbers of the rules that tests name: `C-5`, `C-64 to C-66`. */
function rulesNamedByTests(prefix: string): Set<number> {
  const named = new Set<number>();
  for (const text of textsOfTests()) {
    for (const [, from = "", to = from] of text.matchAll(new RegExp(`\\b${prefix}-(\\d+)(?: to ${prefix}-(\\d+))?`, "g"))) {
      for (let rule = Number(from); rule <= Number(to); rule += 1) named.add(rule);
    }
  }
  return named;
}

for (const { of, prefix, first = 1, last, withoutTest } of RULES) {
  test(`every rule of ${of} is named by a test, or it is said why not`, () => {
    const named = rulesNamedByTests(prefix);
    const rules = Array.from({ length: last - first + 1 }, (_, index) => first + index);
    const missing = rules.filter((rule) => !named.has(rule) && !withoutTest.has(rule));
    assert.deepEqual(missing, []);
    const superfluous = [...withoutTest.keys()].filter((rule) => named.has(rule));
    assert.deepEqual(superfluous, [], "a rule that has a test is no exception");
  });
}

/** Letter and last number of the failure scenarios of docs/security.md that each have a test. */
const SCENARIOS = { A: 24, B: 12 } as const;

test("every failure scenario of evidence and channel is named by a test", () => {
  const named = new Set<string>();
  for (const text of textsOfTests()) {
    const [list = ""] = /\bhazards? (?:[A-Z]\d+(?:, |, and | and )?)+/.exec(text) ?? [];
    for (const [scenario] of list.matchAll(/[A-Z]\d+/g)) named.add(scenario);
  }
  const all = Object.entries(SCENARIOS).flatMap(([letter, last]) => Array.from({ length: last }, (_, index) => `${letter}${index + 1}`));
  assert.deepEqual(
    all.filter((scenario) => !named.has(scenario)),
    [],
  );
});

test("docs/verification.md lists the lessons of the field that tests name, and no others", () => {
  const listed = [...readFileSync(join(ROOT, "docs/verification.md"), "utf8").matchAll(/^\| `(field\/[\w-]+)` \|/gm)].map(
    ([, name]) => name,
  );
  const named = [...textsOfTests()].flatMap((text) => [...text.matchAll(/\bfield\/[\w-]+/g)].map(([name]) => name));
  assert.deepEqual(listed.toSorted(), [...new Set(named)].sort());
});
