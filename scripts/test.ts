/**
 * Runs the tests: `npm test [ROOM…]`. Without a room all of them run; the summary of node:test closes the output.
 * A room's tests lie beside its code, tests that cross rooms under `test/`. Those on a real Kubernetes are the room `cluster`; they run only when
 * it is named, one file at a time, since there is one cluster (`test/cluster/suite.sh` starts and stops it).
 */
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";

const rooms = process.argv.slice(2);
const isCluster = rooms.includes("cluster");
const special: Readonly<Record<string, string>> = { acceptance: "test/{*,acceptance/**/*}.test.ts", cluster: "test/cluster/**/*.test.ts" };
const patterns =
  rooms.length === 0
    ? ["packages/*/{src,test}/**/*.test.ts", special["acceptance"] ?? ""]
    : rooms.map((room) => special[room] ?? `packages/${room}/{src,test}/**/*.test.ts`);
const files = globSync(patterns).sort();
if (files.length === 0) {
  console.error(`error: no test files match ${patterns.join(", ")}`);
  process.exit(2);
}
const limits = isCluster ? ["--test-concurrency=1", "--test-timeout=2400000"] : ["--test-concurrency=2", "--test-timeout=900000"];
const { status } = spawnSync(process.execPath, ["--test", ...limits, ...files], { stdio: "inherit" });
process.exit(status ?? 1);
