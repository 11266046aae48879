import type { BlockCoverage } from "./block-coverage.ts";
import { type Crash, type FuzzTarget, tryInput } from "./fuzz-target.ts";
import { tokensOf } from "./input-tokens.ts";
import { mutateInput } from "./mutate-input.ts";
import type { SeededRandom } from "./seeded-random.ts";

export interface FuzzRun {
  readonly target: FuzzTarget;
  /** Inputs of earlier runs. */
  readonly corpus: readonly Uint8Array[];
  readonly coverage: BlockCoverage;
  readonly random: SeededRandom;
  readonly isOver: (inputs: number) => boolean;
  /** Told before each input is tried: it may never come back. */
  readonly announce: (input: Uint8Array) => void;
}

export interface FuzzOutcome {
  readonly inputs: number;
  /** Places of the sources that ran. */
  readonly places: number;
  /** The smallest inputs found that together reach them. */
  readonly corpus: readonly Uint8Array[];
  /** One per reason. */
  readonly crashes: readonly Crash[];
}

interface Reaching {
  readonly input: Uint8Array;
  readonly places: ReadonlySet<number>;
}

const BATCH = 128;
const SHRINK_TRIES = 40;
const CRASHES_MAX = 20;

/** Changes inputs and keeps those that reach what none reached before. Asking for coverage is dear, so a batch is asked for at once, and one by one if it found something. */
export function fuzz({ target, corpus, coverage, random, isOver, announce }: FuzzRun): FuzzOutcome {
  const known = new Set<number>();
  const pool: Reaching[] = [];
  const crashes = new Map<string, Crash>();
  let inputs = 0;
  const attempt = (input: Uint8Array): void => {
    announce(input);
    inputs += 1;
    const crash = tryInput(target, input);
    if (crash !== undefined && crashes.size < CRASHES_MAX) crashes.set(crash.reason.split("\n", 2).join(), crash);
  };
  const measure = (input: Uint8Array): ReadonlySet<number> => {
    coverage.take();
    attempt(input);
    return new Set(coverage.take());
  };
  const keepIfNew = (input: Uint8Array): void => {
    const places = measure(input);
    if (places.isSubsetOf(known)) return;
    for (const place of places) known.add(place);
    pool.push({ input, places });
  };

  const seeds = target.seeds();
  for (const input of [...seeds, ...corpus]) keepIfNew(input);
  const tokens = tokensOf(seeds);
  while (!isOver(inputs)) {
    const others = pool.map(({ input }) => input);
    const batch = Array.from({ length: BATCH }, () => mutateInput(random.pick(others), random, { others, tokens }));
    coverage.take();
    for (const input of batch) attempt(input);
    if (coverage.take().some((place) => !known.has(place))) for (const input of batch) keepIfNew(input);
  }
  return { inputs, places: known.size, corpus: minimise(pool, measure), crashes: [...crashes.values()] };
}

/** Small inputs first; each must reach something that those before it do not, and is then made as small as it can be without losing that. */
function minimise(pool: readonly Reaching[], measure: (input: Uint8Array) => ReadonlySet<number>): readonly Uint8Array[] {
  const reached = new Set<number>();
  return [...pool]
    .sort((a, b) => a.input.length - b.input.length)
    .flatMap(({ input, places }) => {
      const own = places.difference(reached);
      if (own.size === 0) return [];
      for (const place of own) reached.add(place);
      return [shrink(input, (smaller) => own.isSubsetOf(measure(smaller)))];
    });
}

/** Leaves parts out, or makes them zero, ever smaller ones. */
function shrink(input: Uint8Array, isEnough: (input: Uint8Array) => boolean): Uint8Array {
  let smallest = input;
  let tries = SHRINK_TRIES;
  for (let size = input.length >> 1; size >= 4 && tries > 0; size >>= 1) {
    for (let at = 0; at < smallest.length && tries > 0; tries--) {
      const without = Uint8Array.from([...smallest.subarray(0, at), ...smallest.subarray(at + size)]);
      const zeroed = Uint8Array.from(smallest).fill(0, at, at + size);
      const smaller = [without, zeroed].find(isEnough);
      if (smaller === undefined || smaller === zeroed) at += size;
      smallest = smaller ?? smallest;
    }
  }
  return smallest;
}
