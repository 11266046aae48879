import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { defaultStateDir, findEmbeddedCas, startEmbeddedCas, stopEmbeddedCas } from "@vouchsafe/local";
import { formatCasAddress } from "@vouchsafe/protocol";
import { openCasConfig, rememberCas } from "../../cas-config/cas-config-file.ts";
import { withClient } from "../../cas-config/cas-session.ts";
import { givenValue, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";

const LOCAL_NAME = "local";

/** State directory of the engine; the embedded CAS of this user has a place in it. */
function engineStateDir(options: ParsedOptions, environment: Shell["environment"]): string {
  return givenValue(options, "state") ?? defaultStateDir(environment);
}

/** `cas start`: starts the embedded CAS, provisions it with this client as owner, and remembers it as attested by its own files. */
export async function casStart(options: ParsedOptions, shell: Shell): Promise<number> {
  const stateDir = engineStateDir(options, shell.environment);
  const config = await openCasConfig(shell);
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  const ownerIdentityFile = join(stateDir, "owner.pem");
  if (!existsSync(ownerIdentityFile)) await writeFile(ownerIdentityFile, config.identity.certificate, { mode: 0o600 });
  const status = await startEmbeddedCas(stateDir, { ownerIdentityFile });
  const identity = await withClient(formatCasAddress(status.client), { casKeyHash: status.casKeyHash }, undefined, async (client) => {
    await client.version();
    if (client.identity === undefined) throw new TypeError("a verified connection has an identity");
    return client.identity;
  });
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
  const status = findEmbeddedCas(engineStateDir(options, shell.environment));
  if (status === undefined) {
    if (hasFlag(options, "json")) shell.out(JSON.stringify({ running: false }));
    else shell.note("the embedded CAS is not running; start it with: vouchsafe cas start");
    return ExitCode.failed;
  }
  const { isReady, version, state, developmentRoot } = await withClient(
    formatCasAddress(status.client),
    { casKeyHash: status.casKeyHash },
    undefined,
    async (client) => ({
      isReady: await client.isReady(),
      ...(await client.version()),
    }),
  );
  if (hasFlag(options, "json")) shell.out(JSON.stringify({ running: true, ready: isReady, version, state, developmentRoot, ...status }));
  else {
    shell.out(`CAS ${version}, ${state}, ${isReady ? "ready" : "not ready"}, process ${status.pid}`);
    shell.out(`clients: https://${formatCasAddress(status.client)}/   services: ${formatCasAddress(status.service)}`);
    shell.out(`key hash: ${status.casKeyHash}`);
    if (developmentRoot) shell.out("DEVELOPMENT ONLY: believes simulated evidence where a policy names it");
  }
  return isReady ? ExitCode.ok : ExitCode.failed;
}

/** `cas stop`: ends the embedded CAS; its data stay. */
export async function casStop(options: ParsedOptions, shell: Shell): Promise<number> {
  const wasRunning = await stopEmbeddedCas(engineStateDir(options, shell.environment));
  shell.note(wasRunning ? "the embedded CAS has stopped" : "the embedded CAS was not running");
  return ExitCode.ok;
}
