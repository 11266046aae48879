import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { readLogTail, startDetached, waitUntilGone, waitWhileAlive } from "./detached-process.ts";
import { LocalError } from "./local-error.ts";
import { isAlive, ProcessIdentity, signalProcess } from "./process-identity.ts";

const Address = z.strictObject({ host: z.string(), port: z.int().min(1).max(65_535) });

/** The CAS of this machine: one for all applications of one user. Everything here is public. */
export const EmbeddedCas = z.strictObject({
  process: ProcessIdentity,
  client: Address,
  service: Address,
  casKeyHash: z.string(),
  sessionEncryptionKey: z.string(),
  startedAt: z.string(),
});
export type EmbeddedCas = z.infer<typeof EmbeddedCas>;

/** What the CAS's own process is told. */
export interface CasOrder {
  readonly directory: string;
  readonly agentKeyFile: string;
  readonly clientPort: number;
  readonly servicePort: number;
  /** Who owns the CAS when it provisions itself (C-16): the client's certificate. */
  readonly owner?: { readonly keyHash: string; readonly pem: string };
}

const PORTS = { client: 8081, service: 18_765 };
const START_MS = 30_000;
const STOP_MS = 10_000;

export const casDirectory = (stateDir: string): string => join(stateDir, "cas");
const statusFile = (stateDir: string): string => join(casDirectory(stateDir), "running.json");

/** The running CAS of a state directory, or undefined. */
export function findEmbeddedCas(stateDir: string): EmbeddedCas | undefined {
  const cas = readStatus(stateDir);
  return cas !== undefined && isAlive(cas.process) ? cas : undefined;
}

function readStatus(stateDir: string): EmbeddedCas | undefined {
  try {
    return EmbeddedCas.parse(JSON.parse(readFileSync(statusFile(stateDir), "utf8")));
  } catch {
    return undefined; // never started, or stopped in an orderly way
  }
}

/** Called by the CAS's process when it serves. */
export function writeEmbeddedCas(directory: string, cas: EmbeddedCas): void {
  const file = join(directory, "running.json");
  writeFileSync(`${file}.new`, `${JSON.stringify(cas, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/**
 * Starts the machine's CAS in a process of its own, or returns the one that runs. It takes the ports it had before, so that running services find it
 * again; busy ones are replaced. On first start it provisions itself. Throws L-CAS with the end of its log.
 */
export async function startEmbeddedCas(
  stateDir: string,
  options: { readonly agentKeyFile: string; readonly owner?: CasOrder["owner"]; readonly signal?: AbortSignal | undefined },
): Promise<EmbeddedCas> {
  const running = findEmbeddedCas(stateDir);
  if (running !== undefined) return running;
  const directory = casDirectory(stateDir);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const before = readStatus(stateDir);
  rmSync(statusFile(stateDir), { force: true });
  const order: CasOrder = {
    directory,
    agentKeyFile: options.agentKeyFile,
    clientPort: before?.client.port ?? PORTS.client,
    servicePort: before?.service.port ?? PORTS.service,
    ...(options.owner === undefined ? {} : { owner: options.owner }),
  };
  const orderFile = join(directory, "order.json");
  writeFileSync(orderFile, JSON.stringify(order), { mode: 0o600 });
  const logFile = join(directory, "cas.log");
  const process = startDetached(fileURLToPath(import.meta.resolve("./cas-main.ts")), [orderFile], logFile);
  const found =
    process === undefined
      ? undefined
      : await waitWhileAlive(process, () => findEmbeddedCas(stateDir), { timeoutMs: START_MS, signal: options.signal });
  if (found !== undefined) return found;
  throw new LocalError("L-CAS", `the CAS of this machine does not start:\n${readLogTail(logFile)}`, { remedy: `See ${logFile}.` });
}

/** Stops it; harmless when none runs. Returns whether one did. */
export async function stopEmbeddedCas(stateDir: string): Promise<boolean> {
  const cas = findEmbeddedCas(stateDir);
  if (cas === undefined) return false;
  signalProcess(cas.process, "SIGTERM");
  if (!(await waitUntilGone(cas.process, STOP_MS))) signalProcess(cas.process, "SIGKILL");
  return true;
}
