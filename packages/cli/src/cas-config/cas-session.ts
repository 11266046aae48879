import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { CAS_CLIENT_PORT, CasClient, ProtocolError, parseCasAddress } from "@vouchsafe/protocol";
import { CliError } from "../cli-error.ts";
import { givenValue, type ParsedOptions } from "../command-spec.ts";
import type { Shell } from "../shell.ts";
import { type CasConfig, findKnownCas, type KnownCas, openCasConfig } from "./cas-config-file.ts";

/** A client for an attested CAS, its chain pinned (C-57), and what is known of both sides. */
export interface CasSession extends Disposable {
  readonly client: CasClient;
  readonly name: string;
  readonly cas: KnownCas;
  readonly config: CasConfig;
  /** Runs a call, repeating it after network errors (C-56). */
  readonly retry: <T>(call: () => Promise<T>) => Promise<T>;
}

const DEFAULT_RETRIES = 3;
const RETRY_DELAY_MS = 500;

/** Opens the CAS of `--cas` (or the default) with the identity of `--identity` (or the own one). Throws CliError. */
export async function openCasSession(options: ParsedOptions, shell: Shell): Promise<CasSession> {
  const config = await openCasConfig(shell);
  const { name, cas } = findKnownCas(config, givenValue(options, "cas"));
  const identity = await clientIdentity(givenValue(options, "identity"), config);
  const client = casClient(cas.address, { casKeyHash: cas.cas_key }, identity);
  const retries = retryCount(givenValue(options, "retries") ?? shell.environment["SCONE_CLI_RETRIES"]);
  return { client, name, cas, config, retry: (call) => withRetries(call, retries, shell), [Symbol.dispose]: () => client.close() };
}

/** A client for any address; `pin` is what is known of it. Throws E-CAS-ADDRESS. */
export function casClient(
  address: string,
  pin: { readonly casKeyHash?: string | undefined; readonly softwareKeyHash?: string | undefined },
  clientIdentity?: CasConfig["identity"],
): CasClient {
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
  if (file === undefined) return config.identity;
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
