import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import type { Workspace } from "./workspace.ts";

export interface RunningService {
  readonly name: string;
  readonly state: string;
  /** Address inside the mesh. */
  readonly address: string;
  readonly published: readonly { readonly address: string; readonly port: number }[];
}

interface ListedService {
  readonly name: string;
  readonly published: RunningService["published"];
  readonly instances: readonly { readonly state: string; readonly address: string }[];
}

/** The services of a release, as `vouchsafe ps --json` tells them. */
export async function servicesOf(workspace: Workspace, release: string): Promise<readonly RunningService[]> {
  const { status, stdout, stderr } = await workspace.vouchsafe("ps", "--release", release, "--json");
  if (status !== 0) throw new Error(`ps failed: ${stderr}`);
  const services: readonly ListedService[] = JSON.parse(stdout).services;
  return services.flatMap(({ name, published, instances }) => instances.map(({ state, address }) => ({ name, state, address, published })));
}

export async function serviceOf(workspace: Workspace, release: string, name: string): Promise<RunningService> {
  const found = (await servicesOf(workspace, release)).find((service) => service.name === name);
  if (found === undefined) throw new Error(`release ${release} has no service ${name}`);
  return found;
}

/** Processes of a release whose command line contains `words`: what root of this machine sees. */
export function processesOf(workspace: Workspace, release: string, words: string): readonly number[] {
  const status = JSON.parse(readFileSync(`${workspace.state}/applications/${release}/status.json`, "utf8"));
  const host = Number(status.meshHost.pid);
  const parentOf = (pid: number) => Number(/^PPid:\s+(\d+)/m.exec(readText(`/proc/${pid}/status`))?.[1] ?? 0);
  const isBelowHost = (pid: number): boolean => pid === host || (pid > 1 && isBelowHost(parentOf(pid)));
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => readText(`/proc/${pid}/cmdline`).replaceAll("\0", " ").includes(words) && isBelowHost(pid));
}

const readText = (file: string): string => {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return ""; // the process has ended
  }
};

export interface Answer {
  /** Exit status of curl: 0, or for example 60 for a certificate that does not verify. */
  readonly curl: number;
  readonly status: number;
  readonly body: string;
}

/** One request with the real curl, name mapped to the published address. */
export function request(address: string, host: string, path: string, ...options: string[]): Promise<Answer> {
  const [ip, port] = [address.slice(0, address.lastIndexOf(":")), address.slice(address.lastIndexOf(":") + 1)];
  const args = [
    "-sS",
    "--max-time",
    "20",
    "--resolve",
    `${host}:${port}:${ip}`,
    "-w",
    "\n%{http_code}",
    ...options,
    `https://${host}:${port}${path}`,
  ];
  return new Promise((resolve) => {
    execFile("curl", args, { maxBuffer: 64 * 1024 * 1024 }, (error, stdout) => {
      const cut = stdout.lastIndexOf("\n");
      resolve({
        curl: error === null ? 0 : typeof error.code === "number" ? error.code : -1,
        status: Number(stdout.slice(cut + 1)),
        body: stdout.slice(0, Math.max(cut, 0)),
      });
    });
  });
}

/** Runs a command in the network namespace of a process: what another pod of the same network could do. Needs root. */
export function inNetworkOf(pid: number, command: string, ...args: string[]): Promise<{ status: number; output: string }> {
  return new Promise((resolve) => {
    execFile("nsenter", ["-t", String(pid), "-n", "--", command, ...args], { timeout: 15_000 }, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : typeof error.code === "number" ? error.code : -1, output: stdout + stderr });
    });
  });
}
