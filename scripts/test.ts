/**
 * Runs the tests: `npm test [ROOM…]`. Without a room all of them run; the summary of node:test closes the output.
 * A room's tests lie beside its code, tests that cross rooms under `test/`. Those on a real Kubernetes are the room `cluster`; they run only when
 * it is named, alone, in their own order (`test/cluster/run-suite.ts`; `test/cluster/suite.sh` starts and stops the cluster).
 */
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { join } from "node:path";
import { runTestFiles } from "./run-test-files.ts";

const ACCEPTANCE = "test/{*,acceptance/**/*}.test.ts";
const QUICK = "policy|protocol|runtime|secrets";
const LIMITS = { concurrency: 2, timeoutMs: 900_000 };

const rooms = process.argv.slice(2);
if (rooms.includes("cluster")) {
  if (rooms.length > 1) {
    console.error("error: the room cluster runs alone");
    process.exit(2);
  }
  const suite = join(import.meta.dirname, "..", "test", "cluster", "run-suite.ts");
  const { status } = spawnSync(process.execPath, [suite], { stdio: "inherit" });
  process.exit(status ?? 1);
}
// The acceptance tests take minutes each: after the rooms that fill the cache they need, and before quick ones, which leave no core idle at the end.
const patterns =
  rooms.length === 0
    ? [`packages/!(${QUICK})/{src,test}/**/*.test.ts`, ACCEPTANCE, `packages/@(${QUICK})/{src,test}/**/*.test.ts`]
    : rooms.map((room) => (room === "acceptance" ? ACCEPTANCE : `packages/${room}/{src,test}/**/*.test.ts`));
const files = patterns.flatMap((pattern) => globSync(pattern).sort());
if (files.length === 0) {
  console.error(`error: no test files match ${patterns.join(", ")}`);
  process.exit(2);
}
process.exitCode = (await runTestFiles(files, LIMITS)) ? 0 : 1;
