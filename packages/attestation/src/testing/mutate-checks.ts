/**
 * Removes every check of the verifiers, one at a time, and runs the tests: a check whose removal nobody notices is not proved by any test.
 * usage: node packages/attestation/src/testing/mutate-checks.ts FOLDER...      (folders of src/, e.g. snp nitro tpm/verify-tpm-quote.ts)
 * Works on a copy; prints each survivor as file:line and exits 1 if there is one. Takes about a second for each check.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";

interface Mutant {
  readonly file: string;
  readonly line: number;
  readonly text: string;
  readonly mutated: string;
}

const source = resolve(import.meta.dirname, "..");
const vectors = resolve(process.env["VOUCHSAFE_VECTORS"] ?? join(source, "../../../../shared/vectors"));
const TIMEOUT_MS = 60_000;

/** `if (…) throw …` never fires, and a statement that only asserts is gone. */
function mutantsOf(file: string): readonly Mutant[] {
  const text = readFileSync(join(source, file), "utf8");
  const starts = [...text.matchAll(/^ *(?=(if) \(|assert[A-Z]\w*\()/gm)];
  return starts.flatMap(({ index, 0: indent, 1: keyword }) => {
    const start = index + indent.length;
    const end = closingParenthesis(text, text.indexOf("(", start));
    if (keyword === "if" && !/^\)\s*\{?\s*throw\b/.test(text.slice(end, end + 200))) return [];
    const replacement = keyword === "if" ? "if (false)" : "(() => undefined)()";
    const line = text.slice(0, start).split("\n").length;
    return [
      { file, line, text: text.slice(start).split("\n")[0] ?? "", mutated: text.slice(0, start) + replacement + text.slice(end + 1) },
    ];
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

/** The tests beside a file, and those that take evidence of every kind through it. */
function passes(file: string, copy: string): boolean {
  const beside = globSync(join(dirname(join(copy, "src", file)), "*.test.ts"));
  const across = [join(copy, "src/vectors/vectors.test.ts"), join(copy, "src/simulated/simulated.test.ts")];
  const run = spawnSync(process.execPath, ["--test", ...new Set([...beside, ...across])], {
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
    if (!caught) console.log(`survives: ${mutant.file}:${mutant.line}: ${mutant.text.slice(0, 120)}`);
    return !caught;
  });
  console.log(`${mutants.length} checks removed, ${mutants.length - survivors.length} noticed`);
  process.exitCode = survivors.length === 0 ? 0 : 1;
} finally {
  rmSync(copy, { recursive: true });
}
