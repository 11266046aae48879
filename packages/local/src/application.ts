import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type MeshRecord, parseMeshRecord } from "@vouchsafe/mesh";
import { CasClient, CasProblemError } from "@vouchsafe/protocol";
import { readLogTail, startDetached, waitUntilGone, waitWhileAlive } from "./detached-process.ts";
import { type EmbeddedCas, startEmbeddedCas } from "./embedded-cas.ts";
import type { EngineOrder } from "./engine-order.ts";
import { type EngineStatus, readEngineStatus } from "./engine-status.ts";
import { LocalError } from "./local-error.ts";
import { agentPublicKey, readAgentKey } from "./node-agent.ts";
import { identifyProcess, isAlive, type ProcessIdentity, signalProcess } from "./process-identity.ts";
import { agentKeyFile, applicationPaths, applicationsDir } from "./state-paths.ts";
import { uploadPolicies, writePublicValues } from "./upload-policies.ts";

const RELEASE = /^[a-z](?:[a-z0-9.-]{0,51}[a-z0-9])?$/;
const READY_MS = 155_000;
const STOP_MS = 60_000;
const KILL_MS = 5_000;

export interface UpOptions {
  readonly targetDir: string;
  /** Release name; may be left out where the mesh was applied for one. */
  readonly release?: string | undefined;
  readonly stateDir: string;
  /** How long all services together may take until they are ready; 155 s unless given (CL-80). */
  readonly timeoutMs?: number | undefined;
  /** The owner of the machine's CAS: enrols the node agent. Not needed where `startEmbeddedCas` started the CAS. */
  readonly owner?: { readonly certificate: string; readonly privateKey: string } | undefined;
  /** Where the TPM is (`device:PATH`, `unix:PATH`, `tcp:HOST:PORT`), if not at `/dev/tpmrm0`. */
  readonly tpm?: string | undefined;
  /** Told in words what happens. */
  readonly progress?: ((line: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** An application as `ps` shows it. */
export interface Application {
  readonly status: EngineStatus;
  /** `running`; `crashed`: its engine is gone, and with it everything but files. */
  readonly state: "running" | "failed" | "crashed";
}

/**
 * Runs the application of a target directory: policies to the CAS, public values to `target/public`, containers up, and waits until every service is
 * ready. A running application of the same release is replaced. Throws L-APPLICATION, L-CAS, L-NAMESPACE, L-START; after a failure nothing runs.
 */
export async function startApplication(options: UpOptions): Promise<Application> {
  const { stateDir, progress = () => {} } = options;
  const targetDir = resolve(options.targetDir);
  const record = readRecord(targetDir);
  const release = options.release ?? record.release;
  if (release === null || !RELEASE.test(release)) {
    throw new LocalError("L-APPLICATION", release === null ? "no release is given" : `${JSON.stringify(release)} is no release name`, {
      remedy: "Name one with --release: lower-case letters, digits, '-' and '.', at most 53.",
    });
  }
  if (record.release !== null && record.release !== release) {
    throw new LocalError("L-APPLICATION", `the mesh was applied for release ${record.release}, not ${release}`, {
      remedy: "Apply the mesh with --release.",
    });
  }
  const keeping = record.services.find(({ volumes }) => volumes.length > 0);
  if (keeping !== undefined) {
    throw new LocalError("L-APPLICATION", `service ${keeping.name} has a volume, which this release of the local engine cannot keep`, {
      remedy: "Leave the volume out, or run the application on a cluster.",
    });
  }
  await stopApplication(release, stateDir);
  const cas = await startEmbeddedCas(stateDir);
  await prepareCas(record, targetDir, cas, options, progress);
  return await startEngine(record, release, targetDir, cas, options);
}

function readRecord(targetDir: string): MeshRecord {
  const file = join(targetDir, "mesh.json");
  try {
    return parseMeshRecord(readFileSync(file, "utf8"));
  } catch (cause) {
    throw new LocalError("L-APPLICATION", `${file} is no record of an applied mesh`, {
      cause,
      remedy: "Apply a mesh first: sconectl apply -f mesh.yaml",
    });
  }
}

async function prepareCas(
  record: MeshRecord,
  targetDir: string,
  cas: EmbeddedCas,
  { owner, stateDir }: UpOptions,
  progress: (line: string) => void,
): Promise<void> {
  if (record.cas.key !== null && record.cas.key !== cas.casKeyHash) {
    throw new LocalError("L-CAS", `the application was made for the CAS ${record.cas.key}, the CAS of this machine is ${cas.casKeyHash}`, {
      remedy: "Apply the mesh again with the key of this CAS: vouchsafe cas show-identification -c",
    });
  }
  const client = new CasClient({ ...cas.client, pin: { casKeyHash: cas.casKeyHash }, clientIdentity: owner });
  try {
    if (owner !== undefined) await enrolAgent(client, stateDir, progress);
    const uploaded = await uploadPolicies(record, targetDir, client);
    progress(`${uploaded} of ${record.policies.length} policies are new and were uploaded to the CAS`);
    for (const file of await writePublicValues(record, targetDir, client)) progress(`wrote ${file}`);
  } finally {
    client.close();
  }
}

/** A CAS with another owner may know the agent's key already; if not, it will refuse the services and say why. */
async function enrolAgent(client: CasClient, stateDir: string, progress: (line: string) => void): Promise<void> {
  try {
    await client.enrolNodeKey(agentPublicKey(readAgentKey(agentKeyFile(stateDir))));
  } catch (error) {
    if (!(error instanceof CasProblemError)) throw error;
    progress(`the node agent of this machine was not enrolled: ${error.message}`);
  }
}

async function startEngine(
  record: MeshRecord,
  release: string,
  targetDir: string,
  cas: EmbeddedCas,
  { stateDir, timeoutMs = READY_MS, progress = () => {}, signal, tpm }: UpOptions,
): Promise<Application> {
  const paths = applicationPaths(stateDir, release);
  mkdirSync(paths.directory, { recursive: true, mode: 0o700 });
  const order: EngineOrder = {
    ...{ release, targetDir, stateDir, record },
    cas: { host: cas.service.host, servicePort: cas.service.port, clientPort: cas.client.port },
    environment: { VOUCHSAFE_CAS_KEY: cas.casKeyHash },
    tpm,
  };
  writeFileSync(paths.order, JSON.stringify(order), { mode: 0o600 });
  const engine = startDetached(fileURLToPath(import.meta.resolve("./engine-main.ts")), [paths.order], paths.engineLog);
  if (engine === undefined) throw new LocalError("L-START", "the engine cannot be started");
  let told = "";
  const outcome = await waitWhileAlive(
    engine,
    () => {
      const status = readEngineStatus(paths.status);
      if (status === undefined) return undefined;
      const line = describeProgress(status);
      if (line !== told) progress(line);
      told = line;
      return status.phase === "failed" || isReady(status, record) ? status : undefined;
    },
    { timeoutMs, signal },
  ).catch(async (error: unknown) => {
    await stopApplication(release, stateDir);
    throw error;
  });
  if (outcome?.phase === "up") return { status: outcome, state: "running" };
  throw await explainFailure(outcome, release, stateDir, timeoutMs);
}

const isReady = ({ phase, instances }: EngineStatus, record: MeshRecord): boolean =>
  phase === "up" &&
  instances.length === record.services.reduce((sum, { replicas }) => sum + replicas, 0) &&
  instances.every(({ state, lastExit }) => state === "ready" || (state === "ended" && lastExit === 0));

function describeProgress({ phase, instances }: EngineStatus): string {
  if (phase !== "up") return phase === "unpacking" ? "unpacking images" : phase;
  return instances.map(({ name, state, reason }) => `${name}: ${state}${reason === undefined ? "" : ` (${reason})`}`).join(", ");
}

/** Why it did not become ready, with the end of the logs of those who did not; and takes everything down again. */
async function explainFailure(
  outcome: EngineStatus | undefined,
  release: string,
  stateDir: string,
  timeoutMs: number,
): Promise<LocalError> {
  const paths = applicationPaths(stateDir, release);
  const status = outcome ?? readEngineStatus(paths.status);
  const failure = status?.failure;
  const lagging = status?.instances.filter(({ state }) => state !== "ready") ?? [];
  const logs = lagging.map(
    ({ name, reason }) => `--- ${name}${reason === undefined ? "" : `: ${reason}`}\n${readLogTail(join(paths.logs, `${name}.log`))}`,
  );
  const engineLog = readLogTail(paths.engineLog);
  await stopApplication(release, stateDir);
  if (failure !== undefined) {
    return new LocalError(
      failure.code === "L-NAMESPACE" ? "L-NAMESPACE" : "L-START",
      failure.message,
      failure.remedy === undefined ? {} : { remedy: failure.remedy },
    );
  }
  if (lagging.length > 0) return new LocalError("L-START", `not ready after ${timeoutMs / 1000} s:\n${logs.join("\n")}`);
  return new LocalError("L-START", `the engine of ${release} ended at once:\n${engineLog}`);
}

/** All applications of a state directory, by release. */
export function listApplications(stateDir: string): Application[] {
  let releases: string[];
  try {
    releases = readdirSync(applicationsDir(stateDir)).sort();
  } catch {
    return []; // nothing was ever started
  }
  return releases.flatMap((release) => {
    const status = readEngineStatus(applicationPaths(stateDir, release).status);
    if (status === undefined) return [];
    return [{ status, state: status.phase === "failed" ? "failed" : isAlive(status.engine) ? "running" : "crashed" } satisfies Application];
  });
}

/**
 * Stops an application and removes everything of it, also what a killed engine left. Harmless when there is none; returns whether there was one.
 * The CAS keeps its policies.
 */
export async function stopApplication(release: string, stateDir: string): Promise<boolean> {
  if (!RELEASE.test(release)) throw new LocalError("L-UNKNOWN", `${JSON.stringify(release)} is no release name`);
  const paths = applicationPaths(stateDir, release);
  const status = readEngineStatus(paths.status);
  if (status !== undefined) {
    const stopped = signalProcess(status.engine, "SIGTERM") ? await waitUntilGone(status.engine, STOP_MS) : true;
    if (!stopped) signalProcess(status.engine, "SIGKILL");
    // The mesh host ends with the engine, and all containers with it; the wait is for the kernel to have done so.
    for (const identity of [status.meshHost, ...meshProcesses(status)]) {
      if (identity === undefined || (await waitUntilGone(identity, KILL_MS))) continue;
      signalProcess(identity, "SIGKILL");
      await waitUntilGone(identity, KILL_MS);
    }
    if (status.runDir?.startsWith("/tmp/vouchsafe-") === true) rmSync(status.runDir, { recursive: true, force: true });
  }
  rmSync(paths.directory, { recursive: true, force: true });
  return status !== undefined;
}

/** Process 1 of the mesh: the child of the process that waits for it. */
function meshProcesses({ meshHost }: EngineStatus): ProcessIdentity[] {
  if (meshHost === undefined || !isAlive(meshHost)) return [];
  try {
    const children = readFileSync(`/proc/${meshHost.pid}/task/${meshHost.pid}/children`, "utf8");
    return children
      .trim()
      .split(" ")
      .flatMap((pid) => identifyProcess(Number(pid)) ?? []);
  } catch {
    return []; // it ended meanwhile
  }
}
