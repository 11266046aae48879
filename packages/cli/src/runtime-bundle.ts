import { execFile } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
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

const BUNDLED_ROOMS = ["runtime", "protocol", "linux", "fileshield", "attestation", "policy"];

/** Whether a source of the runtime is newer than the bundle. */
function isOutdated(bundle: string): boolean {
  if (!existsSync(bundle)) return true;
  const made = statSync(bundle).mtimeMs;
  return BUNDLED_ROOMS.some((room) =>
    readdirSync(join(ROOT, "packages", room, "src"), { recursive: true, withFileTypes: true }).some(
      (entry) => entry.isFile() && !entry.name.endsWith(".test.ts") && statSync(join(entry.parentPath, entry.name)).mtimeMs > made,
    ),
  );
}
