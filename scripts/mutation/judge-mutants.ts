/**
 * Which mutants do the tests notice? A mutant is noticed when a test that passes without it fails with it and passes again afterwards. Each test file is
 * loaded once and its tests run again and again with another mutant switched on, only those that come past it, the quickest first.
 */
import { dirname, relative } from "node:path";
import type { Mutant } from "./find-mutants.ts";
import { TestWorker } from "./test-worker.ts";

export interface TestFacts {
  readonly index: number;
  readonly name: string;
  readonly milliseconds: number;
  /** It passes again in the same process. One that does not is only run in processes of its own. */
  readonly isRepeatable: boolean;
  /** Ids of the mutants that it comes past. */
  readonly reached: ReadonlySet<number>;
}

export interface TestFileFacts {
  readonly file: string;
  readonly tests: readonly TestFacts[];
  /** What runs when the file is loaded can only be judged by loading it again. */
  readonly reachedByLoading: ReadonlySet<number>;
}

/** By whom a mutant is noticed, and what was said. */
export interface Notice {
  readonly testFile: string;
  readonly test: string;
  readonly failure: string;
}

export class BrokenTests extends Error {}

export interface Run {
  readonly root: string;
  readonly instrumented: Readonly<Record<string, string>>;
  /** For how much longer than 20 times its usual time a test may run before it counts as one that never ends. */
  readonly patienceMs: number;
  readonly onNotice: (mutant: Mutant, notice: Notice) => void;
}

const FIRST_LIMIT_MS = 600_000;
const limitFor = (milliseconds: number, { patienceMs }: Run): number => Math.ceil(patienceMs + 20 * milliseconds);

/** Runs every test of a file twice without any mutant. */
export async function readTestFile(file: string, { root, instrumented }: Run): Promise<TestFileFacts> {
  const { worker, loaded } = await TestWorker.load(file, instrumented);
  await using _ = worker;
  const broken = (what: string, failure: string) =>
    new BrokenTests(`${relative(root, file)}: ${what} fails without any mutant: ${failure.split("\n").slice(0, 3).join(" ")}`);
  if (loaded.failure !== undefined) throw broken("loading", loaded.failure);
  const first = [];
  for (const [index, name] of loaded.tests.entries()) {
    const answer = await worker.run(index, -1, FIRST_LIMIT_MS);
    if (answer.failure !== undefined) throw broken(name, answer.failure);
    first.push(answer);
  }
  const tests: TestFacts[] = [];
  for (const [index, name] of loaded.tests.entries()) {
    const again = worker.isAlive ? await worker.run(index, -1, FIRST_LIMIT_MS) : undefined;
    const reached = new Set([...(first[index]?.reached ?? []), ...(again?.reached ?? [])]);
    const isRepeatable = again !== undefined && again.failure === undefined;
    tests.push({ index, name, milliseconds: first[index]?.milliseconds ?? 0, isRepeatable, reached });
  }
  return { file, tests, reachedByLoading: new Set(loaded.reached) };
}

/** The mutants that no test notices. `onNotice` hears of each of the others as soon as it is known. */
export async function judgeMutants(mutants: readonly Mutant[], files: readonly TestFileFacts[], run: Run): Promise<readonly Mutant[]> {
  const open = new Map(mutants.map((mutant) => [mutant.id, mutant]));
  /** Mutants that a test came past before, but not when they were on: what it does depends on what ran earlier. */
  const uncertain = new Map<number, Set<string>>();
  const byCost = files.toSorted((a, b) => costOf(a) - costOf(b));
  for (const file of byCost) await judgeInOneProcess(file, (mutant) => isBeside(file.file, mutant, run.root), open, uncertain, run);
  for (const file of byCost) await judgeInOneProcess(file, (mutant) => !isBeside(file.file, mutant, run.root), open, uncertain, run);
  for (const mutant of [...open.values()]) {
    const isDue = (file: TestFileFacts) => file.reachedByLoading.has(mutant.id) || uncertain.get(mutant.id)?.has(file.file) === true;
    for (const file of byCost.filter(isDue)) {
      const notice = await judgeInNewProcess(mutant, file, run);
      if (notice === undefined) continue;
      open.delete(mutant.id);
      run.onNotice(mutant, notice);
      break;
    }
  }
  return [...open.values()];
}

const costOf = ({ tests }: TestFileFacts): number => tests.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
const isBeside = (testFile: string, mutant: Mutant, root: string): boolean => dirname(relative(root, testFile)) === dirname(mutant.file);

async function judgeInOneProcess(
  facts: TestFileFacts,
  isWanted: (mutant: Mutant) => boolean,
  open: Map<number, Mutant>,
  uncertain: Map<number, Set<string>>,
  run: Run,
): Promise<void> {
  const { file, tests } = facts;
  const doubt = (id: number) => uncertain.set(id, (uncertain.get(id) ?? new Set()).add(file));
  const candidates = [...open.values()].filter((mutant) => isWanted(mutant) && tests.some(({ reached }) => reached.has(mutant.id)));
  let worker: TestWorker | undefined;
  try {
    for (const mutant of candidates) {
      for (const test of tests.filter(({ reached }) => reached.has(mutant.id)).toSorted((a, b) => a.milliseconds - b.milliseconds)) {
        if (!test.isRepeatable) {
          doubt(mutant.id);
          continue;
        }
        if (worker?.isAlive !== true) {
          await worker?.[Symbol.asyncDispose]();
          worker = (await TestWorker.load(file, run.instrumented)).worker;
        }
        const limit = limitFor(test.milliseconds, run);
        const answer = await worker.run(test.index, mutant.id, limit);
        if (!answer.reached.includes(mutant.id)) doubt(mutant.id);
        if (answer.failure === undefined) continue;
        // Passing again without the mutant shows that it was the mutant, and that it left nothing behind.
        const isMutant = !worker.isAlive || (await worker.run(test.index, -1, limit)).failure === undefined;
        if (isMutant) {
          open.delete(mutant.id);
          run.onNotice(mutant, { testFile: file, test: test.name, failure: answer.failure });
          break;
        }
        doubt(mutant.id);
        await worker[Symbol.asyncDispose]();
        worker = undefined;
      }
    }
  } finally {
    await worker?.[Symbol.asyncDispose]();
  }
}

/** With the mutant on from the start. */
async function judgeInNewProcess(mutant: Mutant, { file, tests, reachedByLoading }: TestFileFacts, run: Run): Promise<Notice | undefined> {
  const { worker, loaded } = await TestWorker.load(file, run.instrumented, mutant.id);
  await using _ = worker;
  if (loaded.failure !== undefined) return { testFile: file, test: "(loading)", failure: loaded.failure };
  const affected = tests.filter(({ reached }) => reachedByLoading.has(mutant.id) || reached.has(mutant.id));
  for (const { index, name, milliseconds } of affected) {
    const { failure } = await worker.run(index, mutant.id, limitFor(milliseconds, run));
    if (failure !== undefined) return { testFile: file, test: name, failure };
  }
  return undefined;
}
