import { isIP } from "node:net";
import { z } from "zod";
import { ImageError, type ImageErrorCode } from "./image-error.ts";
import type { ImageReference } from "./reference.ts";
import type { RegistryCredentials } from "./registry-credentials.ts";

export interface RegistryRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PUT";
  /** Path below `/v2/<repository>/`, or a whole URL that the registry gave as a location. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Blob | Uint8Array<ArrayBuffer>;
  /** For how long the answer's head may keep us waiting. */
  readonly timeoutMs: number;
}

const REDIRECT_LIMIT = 5;
const TOKEN_MAX_BYTES = 64 * 1024;
const ERROR_MAX_BYTES = 16 * 1024;
const TokenReply = z.looseObject({ token: z.string().optional(), access_token: z.string().optional() });

/** Registries on this machine speak plain HTTP, as all container tools assume. */
const isLoopback = (host: string): boolean => {
  const name = host.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
  return name === "localhost" || name.endsWith(".localhost") || name === "::1" || /^127\.\d+\.\d+\.\d+$/.test(name);
};

const isPrivateAddress = (hostname: string): boolean => {
  const name = hostname.replace(/^\[|\]$/g, "");
  if (isLoopback(name)) return true;
  if (isIP(name) === 4) return /^(?:0|10|127|169\.254|172\.(?:1[6-9]|2\d|3[01])|192\.168)\./.test(name);
  return isIP(name) === 6 && /^(?:::|fe[89ab]|f[cd])/i.test(name);
};

/** Reads an answer of unknown honesty: at most so many bytes. */
export async function readBody(response: Response, maxBytes: number, tooLarge: () => Error): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > maxBytes) throw tooLarge();
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

/** Parameters of a `WWW-Authenticate: Bearer` challenge (RFC 6750, distribution-spec token authentication). */
export function parseBearerChallenge(header: string): ReadonlyMap<string, string> | undefined {
  if (header.length > 4096 || !/^bearer\s/i.test(header)) return undefined;
  return new Map([...header.matchAll(/([a-z_]+)="([^"]*)"/gi)].map(([, name = "", value = ""]) => [name.toLowerCase(), value]));
}

/** One repository of one registry (OCI distribution-spec 1.1), with its login. Credentials go to that registry and the token service it names only. */
export class RegistryConnection {
  readonly #base: string;
  readonly #name: string;
  readonly #code: ImageErrorCode;
  readonly #credentials: RegistryCredentials | undefined;
  #authorization: string | undefined;
  constructor(reference: ImageReference, credentials: RegistryCredentials | undefined, code: "E-IMAGE-PULL" | "E-IMAGE-PUSH") {
    const host = reference.registry === "docker.io" ? "registry-1.docker.io" : reference.registry;
    this.#base = `${isLoopback(host) ? "http" : "https"}://${host}/v2/${reference.repository}/`;
    this.#name = `${reference.registry}/${reference.repository}`;
    this.#credentials = credentials;
    this.#code = code;
  }

  fail(detail: string, options: { cause?: unknown; remedy?: string } = {}): ImageError {
    return new ImageError(this.#code, `${this.#name}: ${detail}`, options);
  }

  /** An error from an answer, with what the registry says. */
  async failAnswer(what: string, response: Response): Promise<ImageError> {
    const text = await readBody(response, ERROR_MAX_BYTES, () => new Error("long answer")).then(
      (bytes) => Buffer.from(bytes).toString("utf8"),
      () => "",
    );
    const said = /"message"\s*:\s*"([^"]{1,300})"/.exec(text)?.[1];
    const remedy =
      response.status === 401 || response.status === 403
        ? "Log in to the registry (docker login, skopeo login), or check that you may access this repository."
        : "Check the reference, and that the registry is reachable.";
    return this.fail(`${what}: the registry answers ${response.status}${said === undefined ? "" : ` (${JSON.stringify(said)})`}`, {
      remedy,
    });
  }

  /** Sends a request, logs in where the registry asks for it, follows redirects. Returns any answer but 401. */
  async send(request: RegistryRequest): Promise<Response> {
    const first = await this.#follow(request);
    if (first.status !== 401) return first;
    const challenge = first.headers.get("www-authenticate") ?? "";
    await first.body?.cancel();
    await this.#authorize(challenge);
    const second = await this.#follow(request);
    if (second.status === 401) throw await this.failAnswer(`${request.method} is not allowed`, second);
    return second;
  }

  async #follow(request: RegistryRequest): Promise<Response> {
    let url = new URL(request.path, this.#base);
    for (let hop = 0; hop <= REDIRECT_LIMIT; hop++) {
      const response = await this.#fetch(url, request);
      const location = response.headers.get("location");
      if (![301, 302, 303, 307, 308].includes(response.status) || location === null) return response;
      await response.body?.cancel();
      const next = new URL(location, url);
      this.#assertPlace(next);
      url = next;
    }
    throw this.fail(`more than ${REDIRECT_LIMIT} redirects`);
  }

  /** Where a registry may send us: never from the outside world into this machine's networks, never from TLS to plain text. */
  #assertPlace(url: URL): void {
    const base = new URL(this.#base);
    if (url.protocol !== "https:" && url.origin !== base.origin)
      throw this.fail(`the registry leads to ${url.origin}, which does not use TLS`);
    if (isPrivateAddress(url.hostname) && !isPrivateAddress(base.hostname))
      throw this.fail(`the registry leads to the private address ${url.origin}`);
  }

  async #fetch(url: URL, { method, headers, body, timeoutMs }: RegistryRequest): Promise<Response> {
    // The login belongs to the registry, not to the storage that it redirects to.
    const authorization =
      this.#authorization !== undefined && url.origin === new URL(this.#base).origin ? { authorization: this.#authorization } : {};
    const head = new AbortController();
    const timer = setTimeout(() => head.abort(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    try {
      return await fetch(url, {
        method,
        headers: { ...headers, ...authorization },
        redirect: "manual",
        signal: head.signal,
        ...(body === undefined ? {} : { body }),
      });
    } catch (cause) {
      const reason = cause instanceof Error ? (cause.cause instanceof Error ? cause.cause.message : cause.message) : String(cause);
      throw this.fail(`${url.origin} cannot be reached: ${reason}`, { cause, remedy: "Check the registry's name and the network." });
    } finally {
      clearTimeout(timer);
    }
  }

  async #authorize(challenge: string): Promise<void> {
    const parameters = parseBearerChallenge(challenge);
    if (parameters !== undefined) {
      this.#authorization = `Bearer ${await this.#fetchToken(parameters)}`;
      return;
    }
    if (!/^basic\b/i.test(challenge) || this.#credentials === undefined) {
      throw this.fail("the registry asks for a login", {
        remedy: "Log in with docker login or skopeo login; credentials are read from ~/.docker/config.json.",
      });
    }
    this.#authorization = this.#basic(this.#credentials);
  }

  #basic({ username, password }: RegistryCredentials): string {
    return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
  }

  async #fetchToken(parameters: ReadonlyMap<string, string>): Promise<string> {
    const realm = parameters.get("realm") ?? "";
    if (!URL.canParse(realm)) throw this.fail(`the registry names the token service ${JSON.stringify(realm.slice(0, 200))}`);
    const url = new URL(realm);
    this.#assertTokenService(url);
    const query = new URLSearchParams();
    for (const name of ["service", "scope"]) {
      const value = parameters.get(name);
      if (value !== undefined) query.set(name, value);
    }
    const credentials = this.#credentials;
    const response = await fetch(...this.#tokenRequest(url, query, credentials)).catch((cause: unknown) => {
      throw this.fail(`the token service ${url.origin} cannot be reached`, { cause });
    });
    if (!response.ok)
      throw await this.failAnswer(credentials === undefined ? "the registry asks for a login" : "the login was refused", response);
    const bytes = await readBody(response, TOKEN_MAX_BYTES, () => this.fail("the token is too long"));
    const reply = TokenReply.safeParse(JSON.parse(Buffer.from(bytes).toString("utf8")));
    const token = reply.data?.token ?? reply.data?.access_token;
    if (token === undefined) throw this.fail(`the token service ${url.origin} gives no token`);
    return token;
  }

  #tokenRequest(url: URL, query: URLSearchParams, credentials: RegistryCredentials | undefined): [URL, RequestInit] {
    const signal = AbortSignal.timeout(30_000);
    if (credentials?.identityToken !== undefined) {
      query.set("grant_type", "refresh_token");
      query.set("refresh_token", credentials.identityToken);
      query.set("client_id", "vouchsafe");
      return [url, { method: "POST", body: query, redirect: "error", signal }];
    }
    for (const [name, value] of query) url.searchParams.set(name, value);
    const headers: Record<string, string> = credentials === undefined ? {} : { authorization: this.#basic(credentials) };
    return [url, { headers, redirect: "error", signal }];
  }

  #assertTokenService(url: URL): void {
    if (url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname) && isLoopback(new URL(this.#base).host))) return;
    throw this.fail(`the token service ${url.origin} does not use TLS: credentials are not sent there`);
  }
}
