import { glob, readdir, readFile } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import { type CaseVerdict, judgeCase, VENDOR_TRUST_ANCHORS, type VectorCase } from "@vouchsafe/attestation";
import { CliError } from "../../cli-error.ts";
import { hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";

interface JudgedCase extends CaseVerdict {
  readonly case: string;
}

/**
 * `evidence check-vectors DIR`: runs every folder below DIR that has an `expected.json` through the attestation library. Prints one line for
 * each case that deviates and the count last; exits 1 if any deviates, or if there is no case.
 */
export async function checkVectors(options: ParsedOptions, shell: Shell): Promise<number> {
  const [operand = "."] = options.operands;
  const directory = resolve(shell.directory, operand);
  const files = (await Array.fromAsync(glob("**/expected.json", { cwd: directory }))).sort();
  if (files.length === 0) {
    throw new CliError("E-FILE-MISSING", `no folder below ${directory} has an expected.json`, {
      remedy: "Name the directory of a vector collection.",
    });
  }
  const now = new Date();
  const roots = await readRoots(directory);
  const judged: JudgedCase[] = [];
  for (const file of files) judged.push(await judge(join(directory, file), directory, roots, now)); // one after the other: some cases are large
  const wrong = judged.filter(({ isRight }) => !isRight);
  if (hasFlag(options, "json")) shell.out(JSON.stringify({ directory, cases: judged.length, right: judged.length - wrong.length, wrong }));
  else {
    for (const { case: name, expected, found, reason } of wrong) {
      shell.out(oneLine(`${name}: expected ${expected}, found ${found}${reason === undefined ? "" : ` (${reason})`}`));
    }
    shell.out(`${judged.length} cases, ${judged.length - wrong.length} right`);
  }
  return wrong.length === 0 ? ExitCode.ok : ExitCode.failed;
}

async function judge(file: string, directory: string, roots: VectorCase["roots"], now: Date): Promise<JudgedCase> {
  const folder = dirname(file);
  const name = relative(directory, folder) || basename(folder);
  const expected = await readExpected(file);
  if (expected === undefined) return { case: name, isRight: false, expected: "a JSON object", found: "another expected.json" };
  const family = typeof expected["family"] === "string" ? expected["family"] : basename(dirname(folder));
  return { case: name, ...(await judgeCase({ family, name: basename(folder), expected, files: await readFiles(folder), roots }, now)) };
}

async function readExpected(file: string): Promise<Record<string, unknown> | undefined> {
  try {
    const json: unknown = JSON.parse(await readFile(file, "utf8"));
    return typeof json === "object" && json !== null && !Array.isArray(json) ? (json as Record<string, unknown>) : undefined; // string keys, by JSON
  } catch (error) {
    if (error instanceof SyntaxError) return undefined; // reported as a deviating case
    throw error;
  }
}

/** `roots/` of the collection, also when only a part of the collection was named. */
async function readRoots(directory: string): Promise<ReadonlyMap<string, Uint8Array>> {
  for (const candidate of [directory, dirname(directory), dirname(dirname(directory))]) {
    const roots = await readFiles(join(candidate, "roots"));
    if (roots.size > 0) return roots;
  }
  const [intel = new Uint8Array(0)] = VENDOR_TRUST_ANCHORS.sgx;
  return new Map([["intel-sgx-root-ca.pem", pemOf(intel)]]); // the one root that cases do not bring themselves
}

const pemOf = (der: Uint8Array): Uint8Array =>
  Buffer.from(`-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString("base64")}\n-----END CERTIFICATE-----\n`);

async function readFiles(folder: string): Promise<ReadonlyMap<string, Uint8Array>> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []); // a folder that is absent has no files
  const files = entries.filter((entry) => entry.isFile());
  return new Map(await Promise.all(files.map(async ({ name }) => [name, Uint8Array.from(await readFile(join(folder, name)))] as const)));
}

const oneLine = (text: string): string => text.replaceAll(/\s+/g, " ").slice(0, 1000);
