import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CasClient } from "@vouchsafe/protocol";
import { CasProcessStatus } from "../process/cas-process.ts";
import type { TestClient } from "./test-cas.ts";

/** A CAS as a process of its own, with the options that an operator gives. */
export interface CasCommand {
  readonly child: ChildProcess;
  readonly status: CasProcessStatus;
  /** Everything it wrote so far. */
  readonly said: () => string;
  client(identity?: TestClient): CasClient;
  /** Ends it with this signal and waits for its end. Harmless when it has ended. */
  end(signal?: NodeJS.Signals): Promise<void>;
}

export interface CommandOutcome {
  readonly code: number | null;
  readonly said: string;
}

export const LOOPBACK = ["--client-listen", "127.0.0.1:0", "--service-listen", "127.0.0.1:0"];
const MAIN = join(import.meta.dirname, "..", "main.ts");
const START_TIMEOUT_MS = 60_000;

/** A directory of its own for one test, gone afterwards. */
export function testDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-cas-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Runs the program of the CAS; `wrapper` are words before it, for example of a tracer. */
export function spawnCas(options: readonly string[], wrapper: readonly string[] = []): { child: ChildProcess; said: () => string } {
  const [program = "", ...words] = [...wrapper, process.execPath, "--disable-sigusr1", MAIN, ...options];
  const child = spawn(program, words, { stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
  }
  return { child, said: () => text };
}

/** Runs it until it ends by itself. */
export async function runCas(options: readonly string[]): Promise<CommandOutcome> {
  const { child, said } = spawnCas(options);
  const [code] = await once(child, "close");
  return { code, said: said() };
}

/** Starts it and waits until it serves. Throws with what it said when it does not. */
export async function startCasCommand(
  t: TestContext,
  { options, statusFile, wrapper = [], asSeenHere = (path) => path }: StartOptions,
): Promise<CasCommand> {
  rmSync(asSeenHere(statusFile), { force: true });
  const { child, said } = spawnCas([...options, ...LOOPBACK, "--status-file", statusFile], wrapper);
  const clients: CasClient[] = [];
  const end = async (signal: NodeJS.Signals = "SIGTERM") => {
    for (const client of clients.splice(0)) client.close();
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "close");
    child.kill(signal);
    await ended;
  };
  t.after(() => end("SIGKILL"));
  for (const deadline = Date.now() + START_TIMEOUT_MS; !existsSync(asSeenHere(statusFile)); await sleep(20)) {
    if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline) throw new Error(`the CAS did not start: ${said()}`);
  }
  const status = CasProcessStatus.parse(JSON.parse(readFileSync(asSeenHere(statusFile), "utf8")));
  const client = (clientIdentity?: TestClient) => {
    const made = new CasClient({ ...status.client, pin: { casKeyHash: status.casKeyHash }, clientIdentity });
    clients.push(made);
    return made;
  };
  return { child, status, said, client, end };
}

export interface StartOptions {
  readonly options: readonly string[];
  readonly statusFile: string;
  readonly wrapper?: readonly string[];
  /** Where this process finds a file of that one, when it has mounts of its own. */
  readonly asSeenHere?: (path: string) => string;
}
