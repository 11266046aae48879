import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { CAS_CLIENT_PORT, CasClient, type CasPin, ProtocolError, parseCasAddress } from "@vouchsafe/protocol";
import { CliError } from "../cli-error.ts";
import { givenValue, type ParsedOptions } from "../command-spec.ts";
import type { Shell } from "../shell.ts";
import { type CasConfig, findKnownCas, type KnownCas, openCasConfig } from "./cas-config-file.ts";
import { reportCasFailure } from "./cas-failure.ts";

/** A client for an attested CAS, its chain pinned (C-57), and what is known of both sides. */
export interface CasSession {
  readonly client: CasClient;
  readonly name: string;
  readonly cas: KnownCas;
  readonly config: CasConfig;
  /** Runs a call, repeating it after network errors (C-56). */
  readonly retry: <T>(call: () => Promise<T>) => Promise<T>;
}

const DEFAULT_RETRIES = 3;
const RETRY_DELAY_MS = 500;

/**
 * Works with the CAS of `--cas` (or the default) under the identity of `--identity` (or the own one). What fails is reported as C-59 says:
 * `failure` names the command's purpose. Returns the exit code. Throws usage errors.
 */
export async function withCasSession(
  options: ParsedOptions,
  shell: Shell,
  failure: string,
  work: (session: CasSession) => Promise<number>,
): Promise<number> {
  try {
    const config = await openCasConfig(shell);
    const { name, cas } = findKnownCas(config, givenValue(options, "cas"));
    const identity = await clientIdentity(givenValue(options, "identity"), config);
    const retries = retryCount(givenValue(options, "retries") ?? shell.environment["SCONE_CLI_RETRIES"]);
    const retry = <T>(call: () => Promise<T>) => withRetries(call, retries, shell);
    return await withClient(cas.address, { casKeyHash: cas.cas_key }, identity, (client) => work({ client, name, cas, config, retry }));
  } catch (error) {
    return reportCasFailure(error, failure, shell);
  }
}

/** Works with a client for any address; `pin` is what is known of it. Throws E-CAS-ADDRESS, and what the work throws. */
export async function withClient<T>(
  address: string,
  pin: CasPin,
  identity: CasConfig["identity"] | undefined,
  work: (client: CasClient) => Promise<T>,
): Promise<T> {
  const client = casClient(address, pin, identity);
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

function casClient(address: string, pin: CasPin, clientIdentity: CasConfig["identity"] | undefined): CasClient {
  const parsed = parseCasAddress(address, CAS_CLIENT_PORT);
  if (parsed === undefined) {
    throw new CliError("E-CAS-ADDRESS", `${JSON.stringify(address)} is no address of a CAS`, {
      remedy: "Write HOST or HOST:PORT.",
      isUsage: true,
    });
  }
  return new CasClient({ ...parsed, pin, clientIdentity });
}

/** PEM file with a PKCS#8 key followed by a certificate (C-20), or the own identity. */
export async function clientIdentity(file: string | undefined, config: CasConfig): Promise<CasConfig["identity"]> {
  return file === undefined ? config.identity : readIdentityFile(file);
}

/** PEM file with a PKCS#8 key followed by a certificate (C-20). Throws E-IDENTITY. */
export async function readIdentityFile(file: string): Promise<CasConfig["identity"]> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new CliError("E-IDENTITY", `${file} cannot be read`, { cause });
  });
  const privateKey = /-----BEGIN PRIVATE KEY-----[\s\S]+?-----END PRIVATE KEY-----/.exec(text)?.[0];
  const certificate = /-----BEGIN CERTIFICATE-----[\s\S]+-----END CERTIFICATE-----/.exec(text)?.[0];
  const remedy = "The file holds a PEM private key (PKCS#8) followed by a certificate.";
  if (privateKey === undefined || certificate === undefined) throw new CliError("E-IDENTITY", `${file} is no client identity`, { remedy });
  if (!new X509Certificate(certificate).checkPrivateKey(createPrivateKey(privateKey))) {
    throw new CliError("E-IDENTITY", `${file}: key and certificate do not belong together`, { remedy });
  }
  return { certificate, privateKey };
}

function retryCount(text: string | undefined): number {
  return text !== undefined && /^\d{1,2}$/.test(text) ? Number(text) : DEFAULT_RETRIES;
}

async function withRetries<T>(call: () => Promise<T>, retries: number, { signal }: Shell): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await call();
    } catch (error) {
      const isNetwork = error instanceof ProtocolError && (error.code === "CAS_UNREACHABLE" || error.code === "CONNECTION_LOST");
      if (!isNetwork || attempt >= retries) throw error;
      await sleep(RETRY_DELAY_MS * 2 ** attempt, undefined, { signal });
    }
  }
}
