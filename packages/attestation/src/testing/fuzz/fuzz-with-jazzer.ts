/**
 * Fuzzes every parser with Jazzer.js (libFuzzer), which also sees the values that comparisons wait for.
 * usage: node packages/attestation/src/testing/fuzz/fuzz-with-jazzer.ts [TARGET...] [--seconds N] [--seed N]
 * Begins with the seeds and the corpus of the project. Each target gets 30 seconds, unless told otherwise; `--seconds 1200` is a night.
 * What it found stays in a folder whose name it prints: `fuzz-parsers.ts TARGET --from FOLDER --keep` takes it over into the project.
 * Needs esbuild (a development dependency) and, on first use, the package registry. Exits 1 for a crash, 2 when Jazzer.js does not run here.
 */
import { spawnSync } from "node:child_process";
import { hash } from "node:crypto";
import { globSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { readCorpus } from "./corpus.ts";
import type { FuzzTarget } from "./fuzz-target.ts";
import { FUZZ_TARGETS } from "./fuzz-targets.ts";
import { type Jazzer, prepareJazzer } from "./jazzer.ts";

const INPUT_MAX_BYTES = 16 * 1024;
const HANG_SECONDS = 20;
const MEMORY_MAX_MB = 2048;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: "string", default: "30" }, seed: { type: "string", default: "1" } },
});
const unknown = positionals.find((name) => !FUZZ_TARGETS.some((target) => target.name === name));
if (unknown !== undefined || !/^[1-9]\d*$/.test(options.seconds) || !/^\d+$/.test(options.seed)) {
  console.error(
    `usage: fuzz-with-jazzer.ts [TARGET...] [--seconds N] [--seed N]\ntargets: ${FUZZ_TARGETS.map(({ name }) => name).join(" ")}`,
  );
  process.exit(2);
}

function prepare(): Jazzer {
  try {
    return prepareJazzer();
  } catch (error) {
    console.error(String(error instanceof Error ? error.message : error));
    process.exit(2);
  }
}

/** CommonJS in one file, so that Jazzer instruments all of it by one name. */
async function bundle(folder: string): Promise<string> {
  const outfile = join(folder, "fuzz-bundle.cjs");
  const entryPoints = [join(import.meta.dirname, "jazzer-target.ts")];
  await build({ entryPoints, outfile, bundle: true, platform: "node", format: "cjs", logLevel: "error" });
  return outfile;
}

function fuzzTarget(target: FuzzTarget, jazzer: Jazzer, module: string, folder: string): void {
  const corpus = join(folder, target.name);
  mkdirSync(corpus);
  for (const input of [...target.seeds(), ...readCorpus(target.name)]) writeFileSync(join(corpus, hash("sha1", input)), input);
  const [program, ...before] = jazzer.command;
  const libFuzzer = {
    max_total_time: options.seconds,
    seed: options.seed,
    max_len: INPUT_MAX_BYTES,
    timeout: HANG_SECONDS,
    rss_limit_mb: MEMORY_MAX_MB,
    artifact_prefix: `${join(folder, `${target.name}-`)}`,
  };
  const limits = Object.entries(libFuzzer).map(([name, value]) => `-${name}=${value}`);
  const { stderr, status } = spawnSync(program, [...before, module, "-f", "fuzz", "--sync", "-i", "fuzz-bundle", corpus, "--", ...limits], {
    cwd: folder,
    encoding: "utf8",
    maxBuffer: 256 * 1024 * 1024,
    env: { ...process.env, FUZZ_TARGET: target.name },
  });
  // Its last line does not always arrive; then the last of its reports counts.
  const reported = [...stderr.matchAll(/^#(\d+)\t/gm)].at(-1)?.[1];
  const [, inputs = reported ?? "0", seconds = options.seconds] = /Done (\d+) runs in (\d+) second/.exec(stderr) ?? [];
  const last = [...stderr.matchAll(/cov: (\d+) ft: (\d+) corp: (\d+)\//g)].at(-1) ?? [];
  const [, coverage = "0", features = "0", kept = "0"] = last;
  const columns = [inputs.padStart(9), seconds.padStart(8), coverage.padStart(6), features.padStart(9), kept.padStart(7)];
  console.log(`${target.name.padEnd(22)}${columns.join(" ")}`);
  if (status === 0 && inputs !== "0") return;
  process.exitCode = 1;
  console.log(
    stderr
      .split("\n")
      .filter((line) => !line.startsWith("#"))
      .slice(-25)
      .join("\n"),
  );
  for (const name of globSync(`${target.name}-*`, { cwd: folder })) {
    const script = relative(process.cwd(), join(import.meta.dirname, "fuzz-parsers.ts"));
    console.log(`  repeat: node ${script} ${target.name} --replay ${join(folder, name)}`);
  }
}

const jazzer = prepare();
const folder = mkdtempSync(join(tmpdir(), "vouchsafe-jazzer-"));
const module = await bundle(folder);
console.log(`Jazzer.js ${jazzer.version}, Node ${process.version}; corpus found: ${folder}`);
console.log("target                   inputs  seconds  edges  features  corpus");
for (const target of FUZZ_TARGETS.filter(({ name }) => positionals.length === 0 || positionals.includes(name)))
  fuzzTarget(target, jazzer, module, folder);
