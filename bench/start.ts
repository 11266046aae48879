/**
 * How long a program's start takes under the runtime: from the start of process 1 of the container to `execve` of the program, attestation included.
 * Beside it, the same namespaces made by `unshare` around a program that ends at once. Then what process 1 of each container
 * costs: the processor time is the steadier figure.
 * usage: node bench/start.ts RELEASE [ROUNDS]       (start the application with ./run.sh first; it is stopped and started again)
 */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { median } from "./pairs.ts";

const [release, rounds = "5"] = process.argv.slice(2);
if (release === undefined) {
  console.error("usage: node bench/start.ts RELEASE [ROUNDS]");
  process.exit(2);
}
const vouchsafe = (...args: string[]) =>
  execFileSync(join(import.meta.dirname, "../packages/cli/bin/vouchsafe"), args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });

interface Launcher {
  readonly pid: string;
  readonly residentMiB: number;
  /** Of process 1 since its start, without the process that became the program. */
  readonly cpuMs: number;
}

/** What the processes 1 of all containers of this machine have cost so far. */
function launchers(): Launcher[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        if (!readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith("/vouchsafe/runtime/bin/node\0/vouchsafe/runtime/main.js\0"))
          return [];
        const status = readFileSync(`/proc/${pid}/status`, "utf8");
        if (!/^NSpid:.*\t1$/m.test(status)) return [];
        const threads = readdirSync(`/proc/${pid}/task`).map((thread) => readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8"));
        const cpuMs = threads.reduce((sum, text) => sum + Number.parseInt(text, 10) / 1e6, 0);
        return [{ pid, residentMiB: Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024, cpuMs }];
      } catch {
        return []; // it ended meanwhile
      }
    });
}

const ours: number[] = [];
const peer: number[] = [];
const cpuMs: number[] = [];
const residentMiB: number[] = [];
for (let round = 0; round < Number(rounds); round += 1) {
  vouchsafe("down", "--release", release);
  const others = new Set(launchers().map(({ pid }) => pid));
  vouchsafe("up", "--release", release);
  for (const [, ms] of vouchsafe("logs", "--release", release).matchAll(/started after (\d+) ms/g)) ours.push(Number(ms));
  for (const launcher of launchers().filter(({ pid }) => !others.has(pid))) {
    cpuMs.push(launcher.cpuMs);
    residentMiB.push(launcher.residentMiB);
  }
  const before = performance.now();
  execFileSync("unshare", ["--map-root-user", "--user", "--mount", "--pid", "--fork", "--mount-proc", "true"]);
  peer.push(performance.now() - before);
}
console.log(
  `start to execve, attestation included: ${median(ours).toFixed(0)} ms (${Math.min(...ours)} to ${Math.max(...ours)}, ${ours.length} starts)`,
);
console.log(`unshare around a program that ends at once: ${median(peer).toFixed(1)} ms, ratio ${(median(ours) / median(peer)).toFixed(1)}`);
console.log(`process 1: ${median(cpuMs).toFixed(0)} ms of processor time, ${median(residentMiB).toFixed(1)} MiB resident`);
