import { Agent, type RequestOptions, request } from "node:https";
import { setTimeout as delay } from "node:timers/promises";
import { getCACertificates } from "node:tls";
import type { ImportNetworks } from "../imports/import-networks.ts";
import { VaultError } from "./vault-error.ts";

export interface OutsideCall {
  readonly method: "GET" | "POST" | "PUT";
  /** Whose certificate is expected. */
  readonly host: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface OutsideAnswer {
  readonly status: number;
  /** JSON; undefined where the body is empty. */
  readonly body: unknown;
  readonly retryAfterSeconds: number | undefined;
}

export interface OutsideOptions {
  /** PEM, besides the public authorities. */
  readonly authorities: readonly string[];
  readonly connectTo: { readonly host: string; readonly port: number } | undefined;
  readonly networks: ImportNetworks;
}

/** From connection to the last byte of the answer. */
const TIMEOUT_MS = 5_000;
/** A secret has at most 25 KB; escaped as JSON at most six times that. */
const MAX_BYTES = 256 * 1024;
const MAX_HEADER_BYTES = 32 * 1024;
const MAX_SOCKETS = 8;
/** The first try and two more. */
const TRIES = 3;
const FIRST_PAUSE_MS = 100;
/** A server that wants more time than this is left alone; whoever needs the answer is told. */
const MAX_PAUSE_MS = 1_000;

/**
 * HTTPS to hosts outside, with limits on time, size and tries. Redirects are answers like others: nobody is followed. The name is always verified,
 * whatever address the owner sends the connection to.
 */
export class OutsideHttps implements Disposable {
  readonly #options: OutsideOptions;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: MAX_SOCKETS });
  readonly #ca: string[];

  constructor(options: OutsideOptions) {
    this.#options = options;
    this.#ca = [...getCACertificates("default"), ...options.authorities];
  }

  /** For questions that may be asked twice. Throws VaultError when the last try failed too; other statuses than 429 and 5xx are returned. */
  async call(call: OutsideCall): Promise<OutsideAnswer> {
    for (let tried = 1; ; tried += 1) {
      const outcome = await this.#once(call).then(
        (answer) => unavailable(call, answer) ?? answer,
        (error: unknown) => error,
      );
      if (!(outcome instanceof Error)) return outcome as OutsideAnswer; // an answer, or what #once rejects with, which is an Error
      const pause = pauseMs(outcome, tried);
      if (tried >= TRIES || pause === undefined) throw outcome;
      await delay(pause);
    }
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  #once({ method, host, path, headers, body }: OutsideCall): Promise<OutsideAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<OutsideAnswer>();
    const { connectTo, networks } = this.#options;
    const options: RequestOptions = {
      method,
      host: connectTo?.host ?? host,
      port: connectTo?.port ?? 443,
      servername: host,
      path,
      agent: this.#agent,
      ca: this.#ca,
      minVersion: "TLSv1.2",
      maxHeaderSize: MAX_HEADER_BYTES,
      signal: AbortSignal.timeout(TIMEOUT_MS),
      headers: {
        ...headers,
        host,
        accept: "application/json",
        ...(body === undefined ? {} : { "content-length": Buffer.byteLength(body) }),
      },
      ...(connectTo === undefined ? { lookup: networks.lookup } : {}),
    };
    const fail = (error: Error) => reject(error instanceof VaultError ? error : classify(host, error));
    const outgoing = request(options, (response) => {
      const tooLarge = () => response.destroy(new VaultError("VAULT_ANSWER", `${host} answers with more than ${MAX_BYTES} bytes`));
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on("error", fail);
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > MAX_BYTES) tooLarge();
        else chunks.push(chunk);
      });
      response.on("end", () => {
        const answer = { status: response.statusCode ?? 0, retryAfterSeconds: secondsOf(response.headers["retry-after"]) };
        const json = parse(Buffer.concat(chunks));
        if (json.isJson || answer.status >= 400) resolve({ ...answer, body: json.value });
        else fail(new VaultError("VAULT_ANSWER", `${host} answers ${answer.status} with something that is no JSON`));
      });
    });
    outgoing.on("error", fail);
    outgoing.end(body);
    return promise;
  }
}

function unavailable({ host }: OutsideCall, { status, retryAfterSeconds }: OutsideAnswer): VaultError | undefined {
  if (status === 429) return new VaultError("VAULT_BUSY", `${host} answers 429: too many requests`, retryAfterSeconds);
  return status >= 500 ? new VaultError("VAULT_FAILED", `${host} answers ${status}`, retryAfterSeconds) : undefined;
}

/** How long to wait before the next try; undefined: not at all. A slow server is not asked again, as whoever waits here has waited long enough. */
function pauseMs(error: Error, tried: number): number | undefined {
  if (!(error instanceof VaultError) || !error.isPassing || error.code === "VAULT_TIMEOUT") return undefined;
  const wanted = error.retryAfterSeconds === undefined ? FIRST_PAUSE_MS * 3 ** (tried - 1) : error.retryAfterSeconds * 1000;
  return wanted <= MAX_PAUSE_MS ? wanted : undefined;
}

function secondsOf(header: string | undefined): number | undefined {
  return header !== undefined && /^[0-9]{1,6}$/.test(header) ? Number(header) : undefined;
}

function parse(bytes: Buffer): { readonly isJson: boolean; readonly value: unknown } {
  if (bytes.length === 0) return { isJson: false, value: undefined };
  try {
    return { isJson: true, value: JSON.parse(bytes.toString()) };
  } catch {
    return { isJson: false, value: undefined }; // the caller says so, without quoting what may be a secret
  }
}

const TLS_ERROR = /^(?:ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_|INVALID_|PATH_LENGTH_|ERROR_IN_CERT_|CRL_)/;

function classify(host: string, error: Error): VaultError {
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  if (error.name === "AbortError" || error.name === "TimeoutError")
    return new VaultError("VAULT_TIMEOUT", `${host} gave no answer within ${TIMEOUT_MS} ms`);
  if (TLS_ERROR.test(code)) return new VaultError("VAULT_TLS", `${host} has no acceptable certificate (${code})`);
  return new VaultError("VAULT_UNREACHABLE", `${host} cannot be reached${code === "" ? "" : ` (${code})`}`);
}
