import type { ChildProcess } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { AttestedService, FileConfiguration, RenewedFile, ServiceConnection } from "@vouchsafe/protocol";
import { attestOnce, attestPatiently } from "./attest.ts";
import { ownContainerFiles } from "./container-files.ts";
import { chooseSource, describeSource, type GatherEvidence, gatherFrom } from "./evidence/choose-source.ts";
import { handOver } from "./hand-over.ts";
import { readImageDescription } from "./image-description.ts";
import { untilListening } from "./listening.ts";
import { judgeOwnMounts } from "./own-mounts.ts";
import { planProgram } from "./plan-program.ts";
import { replaceRenewedFiles } from "./renewed-files.ts";
import { explainFailure, log } from "./report.ts";
import { type RuntimeSettings, readSettings } from "./settings.ts";
import { forwardSignals } from "./signals.ts";
import type { StartedProgram } from "./start-program.ts";
import { tellAgent } from "./tell-agent.ts";
import { RUNTIME_VERSION } from "./version.ts";

const RECONNECT_FIRST_MS = 500;
const RECONNECT_LONGEST_MS = 30_000;
const EXIT_REPORT_MS = 2_000;
/** A service may have a port on which its program never listens (MF-120): then it is ready after this time. */
const LISTEN_LONGEST_MS = 20_000;
const EXIT_START_FAILED = 1;

/**
 * Process 1 of the container: attests, makes of the started process the program in its private view, passes signals on, reaps orphans, and ends as
 * the program ended. It stays in the container's own mount namespace, so that whoever enters the container sees none of the program's files.
 */
export async function supervise(
  waiting: StartedProgram,
  hostArguments: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const { child: program } = waiting;
  let settings: RuntimeSettings | undefined;
  try {
    settings = readSettings(environment);
    const signals = forwardSignals(program, settings.drainMs);
    const image = readImageDescription();
    log(`runtime ${RUNTIME_VERSION}, image platform ${image.platformVersion}, ${image.mode} mode`);
    // Before there is a secret: what must not be shown to the program has to go first.
    const files = ownContainerFiles();
    const mounts = judgeOwnMounts(files, image);
    for (const warning of mounts.warnings) log(`warning: ${warning}`);
    const source = chooseSource(settings);
    log(`service ${settings.serviceId.replace(/@.*/s, "@…")}, evidence ${describeSource(source, settings)}`);
    const evidence = source && gatherFrom(source, settings);
    if (settings.casKeyHash === undefined && settings.accessToken === undefined)
      log("warning: neither a CAS key nor an access token is known: the CAS is not authenticated (C-36)");
    const attested = await attestPatiently(settings, { evidence, runtimeVersion: RUNTIME_VERSION });
    for (const warning of attested.configuration.warnings) log(`warning: ${warning}`);
    if (!attested.configuration.attested) log("warning: this service is not attested (mode: none)");
    const host = Object.fromEntries(Object.entries(environment).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
    await waiting.isReady;
    const user = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    const order = { configuration: attested.configuration, image, hostArguments, hostEnvironment: host, user, files, mounts };
    await handOver(waiting, planProgram(order));
    log(`started after ${Math.round(process.uptime() * 1000)} ms, session version ${attested.configuration.sessionHash}`);
    signals.programRuns();
    void reportReady(program, settings);
    return await untilExit(program, attested, settings, evidence);
  } catch (error) {
    program.kill("SIGKILL");
    const lines = explainFailure(error, settings);
    for (const line of lines) log(line);
    await tellAgent(settings?.agent, "failed", lines.join("; "));
    return EXIT_START_FAILED;
  }
}

/** Ready is a program that was attested and started (MF-123), and listens where its Service sends connections. */
async function reportReady(program: ChildProcess, { servicePort, readyFile }: RuntimeSettings): Promise<void> {
  const ended = new AbortController();
  program.once("exit", () => ended.abort());
  const isListening = servicePort === undefined || (await untilListening(servicePort, LISTEN_LONGEST_MS, ended.signal));
  if (program.exitCode !== null || program.signalCode !== null) return;
  if (!isListening)
    log(`nothing listens on port ${servicePort} after ${LISTEN_LONGEST_MS / 1000} s; the program runs, and counts as ready`);
  markReady(readyFile);
}

function markReady(file: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, "");
  } catch {
    // A read-only /run: then nobody watches the file.
  }
}

async function untilExit(
  program: ChildProcess,
  attested: AttestedService,
  settings: RuntimeSettings,
  evidence: GatherEvidence | undefined,
): Promise<number> {
  const { promise: exited, resolve } = Promise.withResolvers<{ code: number | null; signal: NodeJS.Signals | null }>();
  if (program.exitCode !== null || program.signalCode !== null) resolve({ code: program.exitCode, signal: program.signalCode });
  program.once("exit", (code, signal) => resolve({ code, signal }));
  const link = keepConnected(attested, settings, program, evidence);
  const { code, signal } = await exited;
  rmSync(settings.readyFile, { force: true });
  log(signal === null ? `program ended with status ${code}` : `program ended by ${signal}`);
  await Promise.race([
    link
      .current()
      .reportExit(code, signal)
      .catch(() => {}),
    sleep(EXIT_REPORT_MS),
  ]);
  link.stop();
  return signal === null ? (code ?? EXIT_START_FAILED) : 128 + constants.signals[signal];
}

/** Holds the connection to the CAS for as long as the program runs: takes renewals, and attests again with the same key when it is lost (C-46). */
function keepConnected(
  attested: AttestedService,
  settings: RuntimeSettings,
  program: ChildProcess,
  evidence: GatherEvidence | undefined,
): { current: () => ServiceConnection; stop: () => void } {
  let connection = attested.connection;
  let isStopped = false;
  const { sessionHash } = attested.configuration;
  const delivered = new Map(attested.configuration.files.map(({ path, content }) => [path, content]));
  const replace = (files: readonly RenewedFile[]) => {
    for (const { path, content } of files) delivered.set(path, content);
    replaceRenewedFiles(program.pid, files);
  };
  const listen = () => connection.onRenewal((renewal) => replace(renewal.files));
  const hold = async () => {
    listen();
    for (let delay = RECONNECT_FIRST_MS; ; ) {
      const reason = await connection.closed;
      if (isStopped || reason === undefined) return;
      log(`connection to the CAS lost (${reason.message}); the program goes on`);
      for (; !isStopped; delay = Math.min(delay * 2, RECONNECT_LONGEST_MS)) {
        await sleep(delay * (0.75 + Math.random() / 2), undefined, { ref: false });
        try {
          const again = await attestOnce(settings, { evidence, runtimeVersion: RUNTIME_VERSION, reconnectWith: attested.instanceKey });
          connection = again.connection;
          // What was renewed meanwhile; another version of the session is for the next start.
          if (again.configuration.sessionHash === sessionHash) replace(changedFiles(delivered, again.configuration.files));
          listen();
          delay = RECONNECT_FIRST_MS;
          log("connected to the CAS again");
          break;
        } catch (error) {
          log(`the CAS cannot be reached again yet: ${error instanceof Error ? error.message : String(error)}`);
        }
      }
    }
  };
  hold().catch((error: unknown) => log(`connection to the CAS given up: ${String(error)}`));
  return {
    current: () => connection,
    stop: () => {
      isStopped = true;
      connection.close();
    },
  };
}

/** Files whose content differs from what was delivered last; templates of the image are filled at start only. */
function changedFiles(delivered: ReadonlyMap<string, string | null>, files: readonly FileConfiguration[]): RenewedFile[] {
  return files.flatMap(({ path, content }) => (content === null || delivered.get(path) === content ? [] : [{ path, content }]));
}
