/**
 * Removes every check of the verifiers and inverts every condition, one at a time, and runs the tests: a change that nobody notices is not proved by any test.
 * usage: node packages/attestation/src/testing/mutate-checks.ts FOLDER...      (folders of src/, e.g. snp nitro tpm/verify-tpm-quote.ts)
 * Works on a copy; prints each survivor as file:line and exits 1 if there is one. The tests beside the file run first, in one process that stops
 * at the first failure; those that take evidence of every kind through it run only for a change that these do not notice.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";

interface Mutant {
  readonly file: string;
  readonly line: number;
  readonly change: "removed" | "inverted";
  readonly text: string;
  readonly mutated: string;
}

const source = resolve(import.meta.dirname, "..");
const vectors = resolve(process.env["VOUCHSAFE_VECTORS"] ?? join(source, "../../../../shared/vectors"));
const TIMEOUT_MS = 60_000;

/** `if (…) throw …` never fires, a statement that only asserts is gone, and each other `if` goes the other way. */
function mutantsOf(file: string): readonly Mutant[] {
  const text = readFileSync(join(source, file), "utf8");
  const starts = [...text.matchAll(/^ *(?=(if|else if) \(|assert[A-Z]\w*\()/gm)];
  return starts.flatMap(({ index, 0: indent, 1: keyword }): readonly Mutant[] => {
    const start = index + indent.length;
    const open = text.indexOf("(", start);
    const end = closingParenthesis(text, open);
    const line = text.slice(0, start).split("\n").length;
    const place = { file, line, text: text.slice(start).split("\n")[0] ?? "" };
    const replace = (replacement: string) => text.slice(0, start) + replacement + text.slice(end + 1);
    if (keyword === undefined) return [{ ...place, change: "removed", mutated: replace("(() => undefined)()") }];
    const inverted: Mutant = { ...place, change: "inverted", mutated: replace(`${keyword} (!(${text.slice(open + 1, end)}))`) };
    const isCheck = /^\)\s*\{?\s*throw\b/.test(text.slice(end, end + 200));
    return isCheck ? [{ ...place, change: "removed", mutated: replace(`${keyword} (false)`) }, inverted] : [inverted];
  });
}

/** Strings and patterns with lone parentheses are rare enough here: a mutant that does not parse is noticed by every test. */
function closingParenthesis(text: string, open: number): number {
  let depth = 0;
  for (let at = open; at < text.length; at++) {
    if (text[at] === "(") depth += 1;
    if (text[at] === ")") depth -= 1;
    if (depth === 0) return at;
  }
  return text.length;
}

function isCaught({ file, mutated }: Mutant, copy: string): boolean {
  const target = join(copy, "src", file);
  const original = readFileSync(target);
  writeFileSync(target, mutated);
  const isPassing = passes(file, copy);
  writeFileSync(target, original);
  return !isPassing;
}

/** The tests beside a file, then those that take evidence of every kind through it. */
function passes(file: string, copy: string): boolean {
  const beside = globSync(join(dirname(join(copy, "src", file)), "*.test.ts"));
  const across = [join(copy, "src/vectors/vectors.test.ts"), join(copy, "src/simulated/simulated.test.ts")];
  return passesAll(beside, copy) && passesAll(across, copy);
}

function passesAll(tests: readonly string[], copy: string): boolean {
  if (tests.length === 0) return true;
  const reporter = join(copy, "src/testing/stop-at-failure.ts");
  const run = spawnSync(process.execPath, ["--test", "--test-isolation=none", `--test-reporter=${reporter}`, ...tests], {
    env: { ...process.env, VOUCHSAFE_VECTORS: vectors },
    timeout: TIMEOUT_MS,
    stdio: "ignore",
  });
  return run.status === 0;
}

const operands = process.argv.slice(2);
const files = operands
  .flatMap((operand) => (operand.endsWith(".ts") ? [operand] : globSync(`${operand}/*.ts`, { cwd: source })))
  .filter((file) => !file.endsWith(".test.ts"));
if (files.length === 0) {
  console.error("usage: mutate-checks.ts FOLDER...");
  process.exit(2);
}
const copy = mkdtempSync(join(tmpdir(), "vouchsafe-mutants-"));
try {
  cpSync(join(source, ".."), copy, { recursive: true, filter: (from) => relative(join(source, ".."), from) !== "node_modules" });
  symlinkSync(resolve(source, "../../../node_modules"), join(copy, "node_modules"));
  execFileSync(process.execPath, ["--check", join(copy, "src/index.ts")]);
  const failing = files.find((file) => !passes(file, copy));
  if (failing !== undefined) throw new Error(`the tests of ${failing} fail without any change`);
  const mutants = files.flatMap(mutantsOf);
  const survivors = mutants.filter((mutant) => {
    const caught = isCaught(mutant, copy);
    if (!caught) console.log(`survives ${mutant.change}: ${mutant.file}:${mutant.line}: ${mutant.text.slice(0, 120)}`);
    return !caught;
  });
  for (const change of ["removed", "inverted"] as const) {
    const of = (list: readonly Mutant[]) => list.filter((mutant) => mutant.change === change).length;
    console.log(`${of(mutants)} ${change}, ${of(mutants) - of(survivors)} noticed`);
  }
  process.exitCode = survivors.length === 0 ? 0 : 1;
} finally {
  rmSync(copy, { recursive: true });
}
