import { join } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { startBlockCoverage } from "./block-coverage.ts";
import { readCorpus } from "./corpus.ts";
import { CurrentInput } from "./current-input.ts";
import { type FuzzOutcome, fuzz } from "./fuzz-loop.ts";
import { FUZZ_TARGETS } from "./fuzz-targets.ts";
import { seededRandom } from "./seeded-random.ts";

const SOURCES = join(import.meta.dirname, "../..");

/** What a thread is to do: it ends after `inputs` or after `seconds`, whichever comes first. */
export interface FuzzOrder {
  readonly target: string;
  /** Inputs to begin with, besides the seeds and the corpus of the project. */
  readonly found: readonly Uint8Array[];
  readonly inputs: number;
  readonly seconds: number;
  readonly seed: number;
  readonly current: SharedArrayBuffer;
}

/** Fuzzes one parser in this thread. */
function run(order: FuzzOrder): FuzzOutcome {
  const target = FUZZ_TARGETS.find(({ name }) => name === order.target);
  if (target === undefined) throw new TypeError(`no target ${order.target}`);
  const current = new CurrentInput(order.current);
  const coverage = startBlockCoverage([SOURCES, join(SOURCES, "../../collateral/src/bundle")]);
  const end = performance.now() + order.seconds * 1000;
  const isOver = (inputs: number) => inputs >= order.inputs || performance.now() >= end;
  const random = seededRandom(order.seed);
  try {
    return fuzz({
      target,
      corpus: [...readCorpus(target.name), ...order.found],
      coverage,
      random,
      isOver,
      announce: (input) => current.announce(input),
    });
  } finally {
    coverage.stop();
  }
}

parentPort?.postMessage(run(workerData as FuzzOrder)); // whoever starts this thread gives it an order
