/**
 * Coverage-guided fuzzing of every parser: inputs that reach code which none reached before are changed further.
 * usage: node packages/attestation/src/testing/fuzz/fuzz-parsers.ts [TARGET...] [--seconds N | --inputs N] [--seed N] [--from FOLDER] [--keep]
 *        node packages/attestation/src/testing/fuzz/fuzz-parsers.ts TARGET --replay FILE
 * Each target gets 10 seconds, unless told otherwise; `--seconds 1200` is a night. `--from` begins also with the files of FOLDER/TARGET, for
 * example those that fuzz-with-jazzer.ts found; `--keep` writes the corpus found into the project.
 * An input that crashes, hangs or fills memory is written to a file, with the command that repeats it. Exits 1 if there is one.
 */
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { readCorpus, writeCorpus } from "./corpus.ts";
import { CurrentInput } from "./current-input.ts";
import type { FuzzOutcome } from "./fuzz-loop.ts";
import { type Crash, tryInput } from "./fuzz-target.ts";
import { FUZZ_TARGETS } from "./fuzz-targets.ts";
import type { FuzzOrder } from "./fuzz-worker.ts";

const HANG_SECONDS = 60;
const MEMORY_MAX_MB = 512;
const SECONDS = 10;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: "string" },
    inputs: { type: "string" },
    seed: { type: "string", default: "1" },
    from: { type: "string" },
    keep: { type: "boolean", default: false },
    replay: { type: "string" },
  },
});
const targets = FUZZ_TARGETS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
const inputs = Number(options.inputs ?? Infinity);
const seconds = Number(options.seconds ?? (options.inputs === undefined ? SECONDS : Infinity));
const unknown = positionals.find((name) => !FUZZ_TARGETS.some((target) => target.name === name));
if (unknown !== undefined || !(inputs > 0) || !(seconds > 0) || !Number.isInteger(Number(options.seed))) {
  console.error("usage: fuzz-parsers.ts [TARGET...] [--seconds N | --inputs N] [--seed N] [--from FOLDER] [--keep] | TARGET --replay FILE");
  console.error(`targets: ${FUZZ_TARGETS.map(({ name }) => name).join(" ")}`);
  process.exit(2);
}

if (options.replay !== undefined) replay(Uint8Array.from(readFileSync(options.replay)));
else await fuzzAll();

function replay(input: Uint8Array): void {
  const crashes = targets.map((target) => tryInput(target, input)).filter((crash) => crash !== undefined);
  console.log(crashes.map(({ reason }) => reason).join("\n") || "parsed, or refused with a typed error");
  process.exitCode = crashes.length === 0 ? 0 : 1;
}

async function fuzzAll(): Promise<void> {
  console.log("target                  inputs  inputs/s  places  corpus  crashes");
  for (const { name } of targets) {
    const started = performance.now();
    const outcome = await fuzzInThread(name);
    const perSecond = Math.round(outcome.inputs / ((performance.now() - started) / 1000));
    const corpus = options.keep && outcome.corpus.length > 0 ? writeCorpus(name, outcome.corpus) : readCorpus(name).length;
    const numbers = [String(outcome.inputs).padStart(8), String(perSecond).padStart(9), String(outcome.places).padStart(7)];
    console.log(`${name.padEnd(22)}${numbers.join(" ")} ${String(corpus).padStart(7)} ${String(outcome.crashes.length).padStart(8)}`);
    for (const [index, crash] of outcome.crashes.entries()) report(name, index, crash);
  }
}

/** In a thread of its own, which can be ended when it hangs, and whose memory is bounded. */
async function fuzzInThread(target: string): Promise<FuzzOutcome> {
  const current = new CurrentInput();
  const order: FuzzOrder = { target, found: readFound(target), inputs, seconds, seed: Number(options.seed), current: current.shared };
  const worker = new Worker(new URL("./fuzz-worker.ts", import.meta.url), {
    workerData: order,
    resourceLimits: { maxOldGenerationSizeMb: MEMORY_MAX_MB },
  });
  const { promise, resolve } = Promise.withResolvers<FuzzOutcome>();
  const failed = (reason: string) =>
    resolve({ inputs: current.count, places: 0, corpus: [], crashes: [{ input: current.read(), reason }] });
  let seen = current.count;
  const watch = setInterval(() => {
    if (current.count === seen) failed(`no answer within ${HANG_SECONDS} seconds`);
    seen = current.count;
  }, HANG_SECONDS * 1000);
  worker.on("message", (outcome: FuzzOutcome) => resolve(outcome)).on("error", (error) => failed(String(error)));
  const outcome = await promise;
  clearInterval(watch);
  await worker.terminate();
  return outcome;
}

/** Inputs that somebody else found for a target. */
function readFound(target: string): readonly Uint8Array[] {
  if (options.from === undefined) return [];
  return globSync(join(options.from, target, "*")).map((file) => Uint8Array.from(readFileSync(file)));
}

function report(target: string, index: number, { input, reason }: Crash): void {
  const file = join(tmpdir(), `vouchsafe-crash-${target}-${process.pid}-${index}.bin`);
  writeFileSync(file, input);
  console.log(`  ${reason.split("\n").slice(0, 4).join("\n  ")}`);
  console.log(`  repeat: node ${relative(process.cwd(), import.meta.filename)} ${target} --replay ${file}`);
  process.exitCode = 1;
}
