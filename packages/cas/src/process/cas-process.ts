import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { CasError } from "../cas-error.ts";
import type { ListenAddress } from "../config/availability-config.ts";

const Address = z.strictObject({ host: z.string(), port: z.int() });

/** What a CAS process says about itself in `cas.json` of its state directory. Holds no secret. */
export const CasProcessStatus = z.strictObject({
  pid: z.int().positive(),
  /** Start time of the process in clock ticks since boot: tells it from another one that got its number. */
  startTicks: z.string(),
  client: Address,
  service: Address,
  casKeyHash: z.string(),
  sessionEncryptionKey: z.string(),
});
export type CasProcessStatus = z.infer<typeof CasProcessStatus>;

export interface CasProcessOptions {
  /** Database, platform key, log and status lie here; made when missing. */
  readonly stateDir: string;
  /** Loopback and port 8081 / 18765 unless given; 0 takes any free port. */
  readonly clientListen?: ListenAddress | undefined;
  readonly serviceListen?: ListenAddress | undefined;
  /** File with the owner's certificate (PEM); whoever holds its key may then enrol node keys and change the configuration. */
  readonly ownerIdentityFile?: string | undefined;
  /** Owner configuration (TOML); the defaults unless given. */
  readonly ownerConfigFile?: string | undefined;
  /** Public keys (PEM) of node agents to trust. */
  readonly nodeKeyFiles?: readonly string[] | undefined;
  readonly altNames?: readonly string[] | undefined;
  /** Directory of the development root and the software platform, for a CAS that is not for production. */
  readonly developmentPlatform?: string | undefined;
}

const START_TIMEOUT_MS = 20_000;
const POLL_MS = 50;
const STOP_TIMEOUT_MS = 10_000;

export const casStatusFile = (stateDir: string): string => join(stateDir, "cas.json");
export const casLogFile = (stateDir: string): string => join(stateDir, "cas.log");

/** The CAS that runs on this state directory; undefined when none does (also after a crash). */
export function findCasProcess(stateDir: string): CasProcessStatus | undefined {
  const status = readStatus(stateDir);
  return status !== undefined && startTicksOf(status.pid) === status.startTicks ? status : undefined;
}

/** Starts a CAS as a process of its own, or returns the one that runs already. It outlives this process. Throws CasError. */
export async function startCasProcess(options: CasProcessOptions): Promise<CasProcessStatus> {
  const running = findCasProcess(options.stateDir);
  if (running !== undefined) return running;
  mkdirSync(options.stateDir, { recursive: true, mode: 0o700 });
  const logFile = casLogFile(options.stateDir);
  const log = openSync(logFile, "a", 0o600);
  const child = spawn(process.execPath, commandLine(options), { detached: true, stdio: ["ignore", log, log], cwd: "/" });
  closeSync(log);
  let exit: string | undefined;
  child.once("error", (error) => {
    exit = error.message;
  });
  child.once("exit", (code, signal) => {
    exit = `exit ${code ?? signal}`;
  });
  child.unref();
  for (const deadline = Date.now() + START_TIMEOUT_MS; Date.now() < deadline; await sleep(POLL_MS)) {
    const status = findCasProcess(options.stateDir);
    if (status !== undefined && status.pid === child.pid) return status;
    if (exit !== undefined) break;
  }
  const lines = readFileSync(logFile, "utf8").trimEnd().split("\n").slice(-5).join("\n");
  throw new CasError("LISTEN", `the CAS did not start (${exit ?? "no answer"}):\n${lines}`, { remedy: `See ${logFile}.` });
}

/** Ends the CAS of this state directory; returns whether one was running. */
export async function stopCasProcess(stateDir: string): Promise<boolean> {
  const running = findCasProcess(stateDir);
  if (running === undefined) return false;
  process.kill(running.pid, "SIGTERM");
  for (const deadline = Date.now() + STOP_TIMEOUT_MS; Date.now() < deadline; await sleep(POLL_MS)) {
    if (findCasProcess(stateDir) === undefined) return true;
  }
  process.kill(running.pid, "SIGKILL");
  return true;
}

/** Start time from /proc: field 22, counted behind the name, which may hold blanks. */
export function startTicksOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined; // no such process
  }
}

function readStatus(stateDir: string): CasProcessStatus | undefined {
  try {
    return CasProcessStatus.parse(JSON.parse(readFileSync(casStatusFile(stateDir), "utf8")));
  } catch {
    return undefined; // never started, or half written by a process that is gone
  }
}

function commandLine(options: CasProcessOptions): string[] {
  const { stateDir, clientListen, serviceListen } = options;
  const main = join(import.meta.dirname, "..", `main${extname(import.meta.filename)}`);
  const address = (listen: ListenAddress | undefined, port: number) =>
    listen === undefined ? `127.0.0.1:${port}` : `${listen.host}:${listen.port}`;
  return [
    "--disable-warning=ExperimentalWarning",
    "--disable-sigusr1", // the signal asks for a snapshot, it must not open a debugger
    main,
    "--state",
    stateDir,
    "--status-file",
    casStatusFile(stateDir),
    "--client-listen",
    address(clientListen, 8081),
    "--service-listen",
    address(serviceListen, 18765),
    "--self-provision",
    "--skip-if-already-provisioned",
    ...(options.ownerConfigFile === undefined ? [] : ["--owner-config", options.ownerConfigFile]),
    ...(options.ownerIdentityFile === undefined ? [] : ["--owner-identity", options.ownerIdentityFile]),
    ...(options.nodeKeyFiles ?? []).flatMap((file) => ["--enrol-node-key", file]),
    ...(options.developmentPlatform === undefined ? [] : ["--only_for_testing-simulated-platform", options.developmentPlatform]),
    ...(options.altNames ?? []).flatMap((name) => ["--name", name]),
  ];
}
