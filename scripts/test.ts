/**
 * Runs the tests: `npm test [ROOM…]`. Without a room all of them run; the summary of node:test closes the output.
 * A room's tests lie beside its code, tests that cross rooms under `test/`. Those on a real Kubernetes are the room `cluster`; they run only when
 * it is named, alone, in their own order (`test/cluster/run-suite.ts`; `test/cluster/suite.sh` starts and stops the cluster).
 */
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { runTestFiles } from "./run-test-files.ts";

const ACCEPTANCE = "test/{*,acceptance/**/*}.test.ts";
const LIMITS = { concurrency: 2, timeoutMs: 900_000 };

const rooms = process.argv.slice(2);
if (rooms.length === 1 && rooms[0] === "cluster") {
  const { status } = spawnSync(process.execPath, ["test/cluster/run-suite.ts"], { stdio: "inherit" });
  process.exit(status ?? 1);
}
// The longest come first, so that none of them is left at the end with one core idle.
const patterns =
  rooms.length === 0
    ? [ACCEPTANCE, "packages/*/{src,test}/**/*.test.ts"]
    : rooms.map((room) => (room === "acceptance" ? ACCEPTANCE : `packages/${room}/{src,test}/**/*.test.ts`));
const files = patterns.flatMap((pattern) => globSync(pattern).sort());
if (files.length === 0) {
  console.error(`error: no test files match ${patterns.join(", ")}`);
  process.exit(2);
}
process.exitCode = (await runTestFiles(files, LIMITS)) ? 0 : 1;
