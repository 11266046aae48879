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
  /** How long loading it takes. */
  readonly milliseconds: number;
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
  /** Heap of each process that runs tests, in MiB; one that needs more is ended. */
  readonly heapMib: number;
  /** Mutants about which there is an argument: they are not judged afresh when they survive. */
  readonly isArgued: (mutant: Mutant) => boolean;
  readonly onNotice: (mutant: Mutant, notice: Notice) => void;
}

const FIRST_LIMIT_MS = 600_000;
const limitFor = (milliseconds: number, { patienceMs }: Run): number => Math.ceil(patienceMs + 20 * milliseconds);

/** Runs every test of a file twice without any mutant. */
export async function readTestFile(file: string, { root, instrumented, heapMib }: Run): Promise<TestFileFacts> {
  const { worker, loaded } = await TestWorker.load(file, instrumented, { heapMib });
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
  return { file, tests, milliseconds: loaded.milliseconds, reachedByLoading: new Set(loaded.reached) };
}

/** The mutants that no test notices. `onNotice` hears of each of the others as soon as it is known. */
export async function judgeMutants(mutants: readonly Mutant[], files: readonly TestFileFacts[], run: Run): Promise<readonly Mutant[]> {
  const open = new Map(mutants.map((mutant) => [mutant.id, mutant]));
  const byCost = files.toSorted((a, b) => costOf(a) - costOf(b));
  const doubts = new Map(byCost.map((file) => [file, new Set(file.reachedByLoading)]));
  const close = (mutant: Mutant, notice: Notice): void => {
    open.delete(mutant.id);
    run.onNotice(mutant, notice);
  };
  const isBeside = (mutant: Mutant, { file }: TestFileFacts): boolean => dirname(relative(run.root, file)) === dirname(mutant.file);
  for (const isFirst of [true, false]) {
    for (const [file, doubtful] of doubts) {
      const wanted = [...open.values()].filter((mutant) => isBeside(mutant, file) === isFirst);
      await judgeInOneProcess(wanted, file, doubtful, { ...run, onNotice: close });
    }
  }
  // What one mutant leaves behind may hide the next: the tests beside its file, which know it best, look at each survivor afresh.
  const isReached = ({ id }: Mutant, { tests }: TestFileFacts): boolean => tests.some(({ reached }) => reached.has(id));
  for (const [file, doubtful] of doubts) {
    const isDue = (mutant: Mutant) =>
      doubtful.has(mutant.id) || (!run.isArgued(mutant) && isBeside(mutant, file) && isReached(mutant, file));
    for (const mutant of [...open.values()].filter(isDue)) {
      const notice = await judgeInNewProcess(mutant, file, run);
      if (notice !== undefined) close(mutant, notice);
    }
  }
  return [...open.values()];
}

const costOf = ({ tests }: TestFileFacts): number => tests.reduce((sum, { milliseconds }) => sum + milliseconds, 0);

interface Noticed {
  readonly mutant: Mutant;
  readonly notice: Notice;
}

/** How many mutants a test may notice before it has to show that it still passes without any. */
const TRUST = 16;

/**
 * Which mutants a file's tests notice, without loading it again. That a test passes afterwards shows that the mutants were why it failed, and that none left
 * anything behind; if it does not, all that this process said becomes doubtful. So does what was noticed and not confirmed when the process ends, and a
 * mutant that a test does not come past when it is on, since what it does then depends on what ran before.
 */
async function judgeInOneProcess(mutants: readonly Mutant[], facts: TestFileFacts, doubtful: Set<number>, run: Run): Promise<void> {
  /** By test, what it noticed and has not confirmed; nothing, if it passed with all mutants. */
  const believed = new Map<TestFacts, Noticed[]>();
  const tried = new Set<number>();
  let worker: TestWorker | undefined;
  const load = async () => (await TestWorker.load(facts.file, run.instrumented, { heapMib: run.heapMib })).worker;

  async function confirm(test: TestFacts, used: TestWorker): Promise<void> {
    const { failure } = await used.run(test.index, -1, limitFor(test.milliseconds, run));
    if (failure !== undefined) return await giveUp(used, tried);
    for (const { mutant, notice } of believed.get(test) ?? []) {
      run.onNotice(mutant, notice);
      tried.delete(mutant.id);
    }
    believed.set(test, []);
  }
  async function giveUp(used: TestWorker, doubts: Iterable<number>): Promise<void> {
    for (const id of doubts) doubtful.add(id);
    tried.clear();
    believed.clear();
    await used[Symbol.asyncDispose]();
    worker = undefined;
  }

  try {
    for (const mutant of mutants) {
      const tests = facts.tests.filter(({ reached }) => reached.has(mutant.id)).toSorted((a, b) => a.milliseconds - b.milliseconds);
      if (tests.some(({ isRepeatable }) => !isRepeatable)) doubtful.add(mutant.id);
      for (const test of tests.filter(({ isRepeatable }) => isRepeatable)) {
        worker ??= await load();
        tried.add(mutant.id);
        const { failure, reached } = await worker.run(test.index, mutant.id, limitFor(test.milliseconds, run));
        if (!reached.includes(mutant.id)) doubtful.add(mutant.id);
        const others = believed.get(test) ?? [];
        if (failure === undefined) {
          believed.set(test, others);
          continue;
        }
        believed.set(test, [...others, { mutant, notice: { testFile: relative(run.root, facts.file), test: test.name, failure } }]);
        if (!worker.isAlive)
          await giveUp(
            worker,
            [...believed.values()].flat().map((each) => each.mutant.id),
          );
        else if (others.length + 1 >= TRUST) await confirm(test, worker);
        break;
      }
    }
    for (const test of [...believed.keys()]) if (worker !== undefined) await confirm(test, worker);
  } finally {
    await worker?.[Symbol.asyncDispose]();
  }
}

/** With the mutant on from the start. */
async function judgeInNewProcess(mutant: Mutant, facts: TestFileFacts, run: Run): Promise<Notice | undefined> {
  const { file, tests, reachedByLoading } = facts;
  const limits = { heapMib: run.heapMib, limitMs: limitFor(facts.milliseconds, run) };
  const { worker, loaded } = await TestWorker.load(file, run.instrumented, { ...limits, mutant: mutant.id });
  await using _ = worker;
  if (loaded.failure !== undefined) return { testFile: relative(run.root, file), test: "(loading)", failure: loaded.failure };
  const affected = tests.filter(({ reached }) => reachedByLoading.has(mutant.id) || reached.has(mutant.id));
  for (const { index, name, milliseconds } of affected) {
    const { failure } = await worker.run(index, mutant.id, limitFor(milliseconds, run));
    if (failure !== undefined) return { testFile: relative(run.root, file), test: name, failure };
  }
  return undefined;
}
