import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { CasError, findCasProcess, parseListenAddress, startCasProcess, stopCasProcess } from "@vouchsafe/cas";
import { CasClient, formatCasAddress } from "@vouchsafe/protocol";
import { openCasConfig, rememberCas } from "../../cas-config/cas-config-file.ts";
import { CliError } from "../../cli-error.ts";
import { givenValue, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";

const LOCAL_NAME = "local";

/** Where the embedded CAS of this user lives. */
export function casStateDir(options: ParsedOptions, environment: Shell["environment"]): string {
  const given = givenValue(options, "state");
  if (given !== undefined) return given;
  const base = environment["XDG_STATE_HOME"] || join(environment["HOME"] || homedir(), ".local", "state");
  return join(base, "vouchsafe", "cas");
}

/** `cas start`: starts the embedded CAS, provisions it with this client as owner, and remembers it as attested by its own files. */
export async function casStart(options: ParsedOptions, shell: Shell): Promise<number> {
  const stateDir = casStateDir(options, shell.environment);
  const config = await openCasConfig(shell);
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  const ownerIdentityFile = join(stateDir, "owner.pem");
  if (!existsSync(ownerIdentityFile)) await writeFile(ownerIdentityFile, config.identity.certificate, { mode: 0o600 });
  const listen = (name: string) => {
    const text = givenValue(options, name);
    return text === undefined ? undefined : parseListenAddress(text);
  };
  const agentKey = join(stateDir, "..", "agent-key.pem");
  const status = await startCasProcess({
    stateDir,
    clientListen: listen("client-listen"),
    serviceListen: listen("service-listen"),
    ownerIdentityFile,
    ownerConfigFile: givenValue(options, "owner-config"),
    nodeKeyFiles: existsSync(agentKey) ? [agentKey] : [],
  }).catch((error: unknown) => {
    if (!(error instanceof CasError)) throw error;
    throw new CliError("E-CAS-START", error.message, { cause: error, ...(error.remedy === undefined ? {} : { remedy: error.remedy }) });
  });
  using client = new CasClient({ ...status.client, pin: { casKeyHash: status.casKeyHash } });
  await client.version();
  const identity = client.identity;
  if (identity === undefined) throw new TypeError("a verified connection has an identity");
  await rememberCas(shell, LOCAL_NAME, {
    address: formatCasAddress(status.client),
    cas_key: identity.casKeyHash,
    cas_software_key: identity.softwareKeyHash,
    chain: [...identity.chain],
    session_encryption_key: status.sessionEncryptionKey,
    attested_at: new Date().toISOString(),
  });
  shell.note("warning: no TEE protects this CAS: the root user of this machine can read what it keeps");
  if (hasFlag(options, "json")) shell.out(JSON.stringify(status));
  else {
    shell.out(`CAS key hash: ${status.casKeyHash}`);
    shell.out(
      `clients: https://${formatCasAddress(status.client)}/   services: ${formatCasAddress(status.service)}   process: ${status.pid}`,
    );
  }
  return ExitCode.ok;
}

/** `cas status`: exit code 0 if the embedded CAS runs and is ready. */
export async function casStatus(options: ParsedOptions, shell: Shell): Promise<number> {
  const status = findCasProcess(casStateDir(options, shell.environment));
  if (status === undefined) {
    if (hasFlag(options, "json")) shell.out(JSON.stringify({ running: false }));
    else shell.note("the embedded CAS is not running; start it with: vouchsafe cas start");
    return ExitCode.failed;
  }
  using client = new CasClient({ ...status.client, pin: { casKeyHash: status.casKeyHash } });
  const [isReady, { version, state }] = [await client.isReady(), await client.version()];
  if (hasFlag(options, "json")) shell.out(JSON.stringify({ running: true, ready: isReady, version, state, ...status }));
  else {
    shell.out(`CAS ${version}, ${state}, ${isReady ? "ready" : "not ready"}, process ${status.pid}`);
    shell.out(`clients: https://${formatCasAddress(status.client)}/   services: ${formatCasAddress(status.service)}`);
    shell.out(`key hash: ${status.casKeyHash}`);
  }
  return isReady ? ExitCode.ok : ExitCode.failed;
}

/** `cas stop`: ends the embedded CAS; its data stay. */
export async function casStop(options: ParsedOptions, shell: Shell): Promise<number> {
  const wasRunning = await stopCasProcess(casStateDir(options, shell.environment));
  shell.note(wasRunning ? "the embedded CAS has stopped" : "the embedded CAS was not running");
  return ExitCode.ok;
}
