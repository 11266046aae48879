import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CasError, CasProcessStatus, casStatusFile, findCasProcess, startCasProcess, stopCasProcess } from "@vouchsafe/cas";
import { LocalError } from "./local-error.ts";
import { readAgentKey } from "./node-agent.ts";
import { agentKeyFile, developmentPlatformDir } from "./state-paths.ts";

/** The CAS of this machine: one for all applications of one user. What is known about it here is public. */
export type EmbeddedCas = CasProcessStatus;

const casDirectory = (stateDir: string): string => join(stateDir, "cas");

/** The running CAS of the engine's state directory, or undefined. */
export const findEmbeddedCas = (stateDir: string): EmbeddedCas | undefined => findCasProcess(casDirectory(stateDir));

/**
 * Starts the machine's CAS in a process of its own, or returns the one that runs. It trusts this machine's node agent. It takes the ports it had
 * before, so that running services find it again; busy ones are replaced by free ones. Throws L-CAS with the end of its log.
 */
export async function startEmbeddedCas(
  stateDir: string,
  options: { readonly ownerIdentityFile?: string | undefined } = {},
): Promise<EmbeddedCas> {
  const running = findEmbeddedCas(stateDir);
  if (running !== undefined) return running;
  const agentKey = agentKeyFile(stateDir);
  readAgentKey(agentKey); // made here if need be
  const directory = casDirectory(stateDir);
  const before = readFormerStatus(directory);
  const developmentPlatform = developmentPlatformDir(stateDir);
  const start = { stateDir: directory, nodeKeyFiles: [agentKey], ownerIdentityFile: options.ownerIdentityFile, developmentPlatform };
  try {
    return await startCasProcess({ ...start, clientListen: before?.client, serviceListen: before?.service });
  } catch (error) {
    if (!(error instanceof CasError && error.code === "LISTEN")) throw error;
  }
  const anyPort = { host: "127.0.0.1", port: 0 };
  try {
    return await startCasProcess({ ...start, clientListen: anyPort, serviceListen: anyPort });
  } catch (cause) {
    if (!(cause instanceof CasError)) throw cause;
    throw new LocalError("L-CAS", cause.message, { cause, ...(cause.remedy === undefined ? {} : { remedy: cause.remedy }) });
  }
}

/** Ends it; harmless when none runs. Returns whether one did. */
export const stopEmbeddedCas = (stateDir: string): Promise<boolean> => stopCasProcess(casDirectory(stateDir));

function readFormerStatus(directory: string): EmbeddedCas | undefined {
  try {
    return CasProcessStatus.parse(JSON.parse(readFileSync(casStatusFile(directory), "utf8")));
  } catch {
    return undefined; // it never ran
  }
}
