import { join } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";

export interface RunLimits {
  /** How many files run at once. What they write comes file by file, in their order. */
  readonly concurrency: number;
  /** Longest time of a test that names none. */
  readonly timeoutMs: number;
}

/** Runs test files, begun in the given order, and writes what `node --test` would write. Whether all of them passed. */
export async function runTestFiles(files: readonly string[], { concurrency, timeoutMs }: RunLimits): Promise<boolean> {
  let hasPassed = true;
  const execArgv = ["--import", join(import.meta.dirname, "keep-compiled.ts")];
  const report = run({ files, concurrency, timeout: timeoutMs, execArgv });
  report.on("test:fail", ({ todo, skip }) => {
    if (todo === undefined && skip === undefined) hasPassed = false;
  });
  for await (const text of report.compose(new spec())) process.stdout.write(text);
  return hasPassed;
}
