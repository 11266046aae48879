/**
 * Runs the tests: `npm test [ROOM…]`. Without a room all of them run; the summary of node:test closes the output.
 * A room's tests lie beside its code, tests that cross rooms under `test/`.
 */
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";

const rooms = process.argv.slice(2);
const patterns =
  rooms.length === 0
    ? ["packages/*/src/**/*.test.ts", "packages/*/test/**/*.test.ts", "test/**/*.test.ts"]
    : rooms.map((room) => (room === "acceptance" ? "test/**/*.test.ts" : `packages/${room}/{src,test}/**/*.test.ts`));
const files = globSync(patterns).sort();
if (files.length === 0) {
  console.error(`error: no test files match ${patterns.join(", ")}`);
  process.exit(2);
}
const { status } = spawnSync(process.execPath, ["--test", "--test-concurrency=2", "--test-timeout=900000", ...files], { stdio: "inherit" });
process.exit(status ?? 1);
