import { execFile } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { CliError } from "./cli-error.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");

/** Path of the runtime that goes into every image. In a clone of the sources it is bundled when it is not there yet. */
export async function obtainRuntimeBundle(environment: Readonly<Record<string, string | undefined>>): Promise<string> {
  const given = environment["VOUCHSAFE_RUNTIME_BUNDLE"];
  const bundle = given ?? join(ROOT, ".cache", "runtime", "main.js");
  const script = join(ROOT, "scripts", "bundle-runtime.ts");
  if (given === undefined && existsSync(script) && isOutdated(bundle)) {
    try {
      await promisify(execFile)(process.execPath, [script], { cwd: ROOT });
    } catch (cause) {
      throw new CliError("E-RUNTIME-BUNDLE", "the runtime could not be bundled", { cause, remedy: `Run ${script} to see why.` });
    }
  }
  if (!existsSync(bundle))
    throw new CliError("E-RUNTIME-BUNDLE", `the runtime ${bundle} is missing`, {
      remedy: "Build it with scripts/bundle-runtime.ts, or name it with VOUCHSAFE_RUNTIME_BUNDLE.",
    });
  return bundle;
}

/** Whether something that the bundle was made from is newer than it, or gone. `scripts/bundle-runtime.ts` keeps the list beside it. */
export function isOutdated(bundle: string, root = ROOT): boolean {
  const inputs = readInputs(`${bundle}.inputs.json`);
  const made = statSync(bundle, { throwIfNoEntry: false })?.mtimeMs;
  if (inputs === undefined || made === undefined) return true;
  return inputs.some((input) => (statSync(join(root, input), { throwIfNoEntry: false })?.mtimeMs ?? Number.POSITIVE_INFINITY) > made);
}

function readInputs(file: string): readonly string[] | undefined {
  try {
    const inputs: unknown = JSON.parse(readFileSync(file, "utf8"));
    return Array.isArray(inputs) ? inputs.filter((input) => typeof input === "string") : undefined;
  } catch {
    return undefined; // a bundle of before, or a list that was not finished: made anew
  }
}
