/**
 * Runs the tests on a real Kubernetes: `test/cluster/suite.sh run` starts and stops the cluster around it. Status 1: a test failed; 2: the lists below
 * do not name every file once.
 */
import { globSync } from "node:fs";
import { join } from "node:path";
import { runTestFiles } from "../../scripts/run-test-files.ts";
import { PREPARED } from "./cluster.ts";

/** Publishes the platform and installs it, once for all others. */
const FIRST = ["platform"];
/**
 * Two at a time, the longest first. Each has namespaces, repositories, releases, clients and CAS of its own; of what belongs to all it uses operator, node
 * agents, registry and the CAS `cas` in `scone-system`, and changes none of them; two add tags of their own to the image of the CAS. Only
 * `tutorial-scripts` works in the namespace `default`.
 */
const SIDE_BY_SIDE = [
  ...["tutorial-scripts", "run-sh", "provision", "attested-cas"],
  ...["tutorial-meshes", "refusals", "backup", "platform-objects"],
];
/** They kill, break or take away what others use: nothing runs beside them. The last leaves a platform without its CAS. */
const ALONE = ["faults", "unhealthy-las", "uninstall"];

const TIMEOUT_MS = 40 * 60_000;

const listed = [...FIRST, ...SIDE_BY_SIDE, ...ALONE];
const present = globSync("*.test.ts", { cwd: import.meta.dirname }).map((file) => file.replace(/\.test\.ts$/, ""));
const unlike = [...listed, ...present].filter(
  (name, at, all) => all.indexOf(name) === at && (!listed.includes(name) || !present.includes(name)),
);
if (unlike.length > 0 || new Set(listed).size !== listed.length) {
  console.error(`error: test/cluster/run-suite.ts must name every test file there once; look at: ${unlike.join(", ")}`);
  process.exit(2);
}

const passes = (names: readonly string[], concurrency: number): Promise<boolean> =>
  runTestFiles(
    names.map((name) => join(import.meta.dirname, `${name}.test.ts`)),
    { concurrency, timeoutMs: TIMEOUT_MS },
  );

const begun = Date.now();
let isGood = await passes(FIRST, 1);
if (isGood) {
  process.env[PREPARED] = "yes";
  isGood = await passes(SIDE_BY_SIDE, 2);
  // Whatever failed before: each stands for itself.
  isGood = (await passes(ALONE, 1)) && isGood;
}
console.log(`the tests on a real Kubernetes ${isGood ? "passed" : "failed"} after ${((Date.now() - begun) / 60_000).toFixed(1)} minutes`);
process.exitCode = isGood ? 0 : 1;
