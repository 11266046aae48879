import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { CollateralError } from "../collateral-error.ts";

export interface BoundedGetOptions {
  readonly signal: AbortSignal;
  readonly maxBytes: number;
  /** For the whole exchange, redirects included. */
  readonly timeoutMs: number;
  /** PEM; in place of the public authorities. */
  readonly ca?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface BoundedAnswer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: Uint8Array;
}

const REDIRECTS_MAX = 3;
const HEADERS_MAX_BYTES = 64 * 1024;

/**
 * GET with limits on size, time and redirects. A redirect to another origin is not followed: which hosts are asked is for the configuration
 * to say. Throws COLLATERAL_UNREACHABLE.
 */
export async function boundedGet(url: URL, options: BoundedGetOptions): Promise<BoundedAnswer> {
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(options.timeoutMs)]);
  let at = url;
  for (let redirects = 0; redirects <= REDIRECTS_MAX; redirects += 1) {
    const answer = await exchange(at, { ...options, signal });
    const { location } = answer.headers;
    if (answer.status < 300 || answer.status > 399 || location === undefined) return answer;
    const next = URL.canParse(location, at) ? new URL(location, at) : undefined;
    if (next === undefined || next.origin !== url.origin) throw unreachable(url, "redirects to another host, which is not followed");
    at = next;
  }
  throw unreachable(url, `redirects more than ${REDIRECTS_MAX} times`);
}

function exchange(url: URL, { signal, maxBytes, timeoutMs, ca, headers }: BoundedGetOptions): Promise<BoundedAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<BoundedAnswer>();
  const fail = (error: Error) => {
    const isTimeout = signal.aborted && signal.reason instanceof DOMException && signal.reason.name === "TimeoutError";
    reject(
      error instanceof CollateralError
        ? error
        : unreachable(url, isTimeout ? `gave no answer within ${timeoutMs} ms` : error.message, error),
    );
  };
  const options = {
    method: "GET",
    signal,
    maxHeaderSize: HEADERS_MAX_BYTES,
    agent: false,
    headers: { accept: "*/*", ...headers },
  } as const;
  const outgoing =
    url.protocol === "https:" ? httpsRequest(url, { ...options, ...(ca === undefined ? {} : { ca }) }) : httpRequest(url, options);
  outgoing.on("error", fail);
  outgoing.on("response", (response) => {
    const tooLarge = () => response.destroy(unreachable(url, `answers with more than ${maxBytes} bytes`));
    if (Number(response.headers["content-length"] ?? 0) > maxBytes) tooLarge();
    const chunks: Buffer[] = [];
    let bytes = 0;
    response.on("error", fail);
    response.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > maxBytes) tooLarge();
      else chunks.push(chunk);
    });
    response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }));
  });
  outgoing.end();
  return promise;
}

/** The query is left out: it holds a chip id, which names a machine. */
function unreachable(url: URL, detail: string, cause?: unknown): CollateralError {
  return new CollateralError("COLLATERAL_UNREACHABLE", `${url.origin}${url.pathname} ${detail}`, {
    cause,
    remedy: "Check the address, the network and the proxy, or give a bundle of documents as a file.",
  });
}
