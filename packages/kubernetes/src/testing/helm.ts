import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { promisify } from "node:util";

const VERSION = "3.21.4";
const run = promisify(execFile);

/** Path of a real Helm: that of the machine, else one built from its sources once and kept outside of the repository. */
export async function obtainHelm(): Promise<string> {
  const onPath = (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((directory) => join(directory, "helm"))
    .find((file) => existsSync(file));
  if (onPath !== undefined) return onPath;
  const tools = join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "vouchsafe", "tools");
  const kept = join(tools, `helm-${VERSION}`);
  if (existsSync(kept)) return kept;
  const building = await mkdtemp(join(tmpdir(), "helm-build-"));
  try {
    await run("go", ["install", `helm.sh/helm/v3/cmd/helm@v${VERSION}`], { env: { ...process.env, GOBIN: building } });
    await mkdir(tools, { recursive: true });
    await rename(join(building, "helm"), kept).catch(() => run("cp", [join(building, "helm"), kept])); // another file system
  } catch (cause) {
    throw new Error("charts are checked with a real Helm: put helm on the PATH, or install Go so that it can be built", { cause });
  } finally {
    await rm(building, { recursive: true, force: true });
  }
  return kept;
}

/** Writes the files of a chart to a directory that vanishes with the test. */
export async function writeChart(context: TestContext, files: ReadonlyMap<string, string>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "vouchsafe-chart-"));
  context.after(() => rm(directory, { recursive: true, force: true }));
  for (const [path, text] of files) {
    await mkdir(join(directory, dirname(path)), { recursive: true });
    await writeFile(join(directory, path), text);
  }
  return directory;
}

/** Runs Helm without any network access to repositories; returns what it prints. */
export async function helm(...argv: string[]): Promise<string> {
  const { stdout } = await run(await obtainHelm(), argv, { maxBuffer: 16 * 1024 * 1024 });
  return stdout;
}
