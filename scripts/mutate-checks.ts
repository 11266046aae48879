import { execFileSync } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { EQUIVALENT_MUTANTS } from "./mutation/equivalent-mutants.ts";
import { findMutants, type Mutant } from "./mutation/find-mutants.ts";
import { Journal } from "./mutation/journal.ts";
import { BrokenTests, judgeMutants, type Notice, readTestFile, type TestFileFacts } from "./mutation/judge-mutants.ts";
import {
  classifySurvivors,
  describeFolder,
  describeSurvivor,
  findStaleArguments,
  type Outcome,
  summarise,
} from "./mutation/mutation-report.ts";

/** `node scripts/mutate-checks.ts --help` says what it does, `mutation/judge-mutants.ts` how. */
const HELP = `usage: node scripts/mutate-checks.ts [PATH…] [--since COMMIT] [--tests PATH]… [--fresh] [--json]

Takes away every check and turns round every condition of the sources below PATH, one at a time, and runs the tests that come past it. A change
that no test notices survives: what it changed is not proved by any test.

  PATH            file or folder, as packages/attestation/src/snp
  --since COMMIT  of these (without PATH: of all rooms) only files that differ from COMMIT
  --tests PATH    file or folder of tests to run, again for more; by default all tests of the rooms that PATH lies in
  --heap MIB      heap of each process that runs tests (1024): one that a mutant fills is ended, and counts as a test that fails
  --fresh         forgets what an interrupted run of the same sources has found
  --json          prints each mutant and what became of it as JSON

changes:
  check removed      the condition of an \`if\` is never true
  statement removed  a call that stands alone is left out, as assertWithinDates(…)
  operand removed    one operand of && or || is left out
  inverted           a condition, comparison or answer of a predicate is the opposite

Mutants that do what the original does are listed and argued in scripts/mutation/equivalent-mutants.ts.
Exit status: 0 none survives, 1 some do (or an argument is out of date), 2 wrong usage, or tests that fail without any change.

example: nice node scripts/mutate-checks.ts packages/attestation/src --since HEAD~5`;

const PATIENCE_MS = 15_000;
const root = resolve(import.meta.dirname, "..");
const note = (line: string): void => console.error(line);

function fail(message: string): never {
  console.error(`error: ${message}\nhelp: node scripts/mutate-checks.ts --help`);
  process.exit(2);
}

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        since: { type: "string" },
        tests: { type: "string", multiple: true, default: [] },
        heap: { type: "string", default: "1024" },
        fresh: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

/** Paths from the root of the project. */
function filesBelow(path: string): readonly string[] {
  const below = relative(root, resolve(path));
  if (!statSync(path, { throwIfNoEntry: false })) fail(`${path} does not exist`);
  if (below.endsWith(".ts")) return [below];
  return globSync(`${below}/**/*.ts`, { cwd: root, exclude: ["**/node_modules/**"] }).sort();
}

const isTest = (file: string): boolean => file.endsWith(".test.ts");
const isJudged = (file: string): boolean => /^packages\/[^/]+\/src\//.test(file) && !isTest(file) && !file.includes("/testing/");

function changedSince(commit: string): ReadonlySet<string> {
  const git = (...command: string[]) => execFileSync("git", command, { cwd: root, encoding: "utf8" }).split("\n").filter(Boolean);
  try {
    return new Set([
      ...git("diff", "--name-only", commit, "--", "packages"),
      ...git("ls-files", "-o", "--exclude-standard", "--", "packages"),
    ]);
  } catch {
    return fail(`git knows no commit ${commit}`);
  }
}

interface MutatedSources {
  readonly mutants: readonly Mutant[];
  /** By URL of a source, where its instrumented form lies. */
  readonly instrumented: Readonly<Record<string, string>>;
}

function instrument(files: readonly string[], folder: string): MutatedSources {
  const mutants: Mutant[] = [];
  const instrumented: Record<string, string> = {};
  for (const [index, file] of files.entries()) {
    const source = findMutants(file, readFileSync(join(root, file), "utf8"), mutants.length);
    const path = join(folder, `${index}.ts`);
    writeFileSync(path, source.instrumented);
    mutants.push(...source.mutants);
    instrumented[pathToFileURL(join(root, file)).href] = path;
  }
  return { mutants, instrumented };
}

/** Folder by folder; `onFolder` hears of each that is done. */
async function judge(
  { mutants, instrumented }: MutatedSources,
  testFiles: readonly string[],
  journal: Journal,
  heapMib: number,
  onFolder: (outcomes: readonly Outcome[]) => void,
): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  const onNotice = (mutant: Mutant, notice: Notice): void => {
    journal.add(mutant, notice);
    outcomes.push({ kind: "noticed", mutant, notice });
    if (outcomes.length % 100 === 0) note(`${outcomes.length} of ${mutants.length} judged`);
  };
  const isArgued = ({ file, change, text }: Mutant): boolean =>
    EQUIVALENT_MUTANTS.some((argued) => argued.file === file && argued.change === change && argued.text === text);
  const run = { root, instrumented, patienceMs: PATIENCE_MS, heapMib, isArgued, onNotice };
  const facts: TestFileFacts[] = [];
  for (const file of testFiles) facts.push(await readTestFile(join(root, file), run));
  note(`${facts.length} files of tests pass without any change`);
  const reached = facts.flatMap(({ tests, reachedByLoading }) => [reachedByLoading, ...tests.map((test) => test.reached)]);
  for (const inFolder of Map.groupBy(mutants, ({ file }) => dirname(file)).values()) {
    const before = outcomes.length;
    const unknown: Mutant[] = [];
    for (const mutant of inFolder) {
      const notice = journal.find(mutant);
      if (notice === undefined) unknown.push(mutant);
      else outcomes.push({ kind: "noticed", mutant, notice });
    }
    const survivors = await judgeMutants(unknown, facts, run);
    const described = survivors.map((mutant) => ({ mutant, isReached: reached.some((ids) => ids.has(mutant.id)) }));
    outcomes.push(...classifySurvivors(described, EQUIVALENT_MUTANTS));
    onFolder(outcomes.slice(before));
  }
  return outcomes;
}

function printFolder(outcomes: readonly Outcome[]): void {
  for (const outcome of outcomes) if (outcome.kind === "survived") console.log(describeSurvivor(outcome));
  for (const folder of summarise(outcomes)) console.log(describeFolder(folder));
}

async function main(): Promise<number> {
  const { values: options, positionals } = readArguments();
  if (options.help) {
    console.log(HELP);
    return 0;
  }
  if (positionals.length === 0 && options.since === undefined) fail("no file or folder given");
  if (!/^[1-9]\d{1,5}$/.test(options.heap)) fail(`--heap takes a number of MiB, not ${options.heap}`);
  const changed = options.since === undefined ? undefined : changedSince(options.since);
  const named = new Set((positionals.length === 0 ? [join(root, "packages")] : positionals).flatMap(filesBelow));
  const files = [...named].filter(isJudged).filter((file) => changed?.has(file) ?? true);
  if (files.length === 0 && changed === undefined) fail("no source below these paths");
  const rooms = new Set(files.map((file) => join(root, ...file.split("/").slice(0, 2))));
  const testFiles = (options.tests.length === 0 ? [...rooms] : options.tests).flatMap(filesBelow).filter(isTest);
  const folder = mkdtempSync(join(tmpdir(), "vouchsafe-mutants-"));
  try {
    const sources = instrument(files, folder);
    note(`${sources.mutants.length} mutants of ${files.length} files, ${testFiles.length} files of tests`);
    const onFolder = options.json ? () => undefined : printFolder;
    const outcomes = await judge(sources, testFiles, new Journal(root, options.fresh), Number(options.heap), onFolder);
    const stale = findStaleArguments(outcomes, EQUIVALENT_MUTANTS);
    if (options.json) console.log(JSON.stringify({ folders: summarise(outcomes), outcomes, stale }, undefined, 2));
    else for (const { file, change, text } of stale) console.log(`argued without need: ${file}: ${change}: ${text}`);
    return stale.length === 0 && outcomes.every(({ kind }) => kind !== "survived") ? 0 : 1;
  } catch (error) {
    if (!(error instanceof BrokenTests)) throw error;
    console.error(`error: ${error.message}`);
    return 2;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

process.exitCode = await main();
