/**
 * How long a program's start takes under the runtime: from the start of process 1 of the container to `execve` of the program, attestation included.
 * Beside it, the same namespaces made by `unshare` around a program that ends at once.
 * usage: node bench/start.ts RELEASE [ROUNDS]       (start the application with ./run.sh first; it is stopped and started again)
 */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { median } from "./pairs.ts";

const [release, rounds = "5"] = process.argv.slice(2);
if (release === undefined) {
  console.error("usage: node bench/start.ts RELEASE [ROUNDS]");
  process.exit(2);
}
const vouchsafe = (...args: string[]) =>
  execFileSync(join(import.meta.dirname, "../packages/cli/bin/vouchsafe"), args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });

const ours: number[] = [];
const peer: number[] = [];
for (let round = 0; round < Number(rounds); round += 1) {
  vouchsafe("down", "--release", release);
  vouchsafe("up", "--release", release);
  for (const [, ms] of vouchsafe("logs", "--release", release).matchAll(/started after (\d+) ms/g)) ours.push(Number(ms));
  const before = performance.now();
  execFileSync("unshare", ["--map-root-user", "--user", "--mount", "--pid", "--fork", "--mount-proc", "true"]);
  peer.push(performance.now() - before);
}
console.log(
  `start to execve, attestation included: ${median(ours).toFixed(0)} ms (${Math.min(...ours)} to ${Math.max(...ours)}, ${ours.length} starts)`,
);
console.log(`unshare around a program that ends at once: ${median(peer).toFixed(1)} ms, ratio ${(median(ours) / median(peer)).toFixed(1)}`);
