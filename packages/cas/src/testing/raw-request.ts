import { request } from "node:https";
import { text } from "node:stream/consumers";
import type { TestCas, TestClient } from "./test-cas.ts";

export interface RawRequest {
  readonly method?: string;
  readonly identity?: TestClient;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** One request on a connection of its own, as any HTTPS client makes it; the CAS is not verified. */
export async function rawRequest(
  cas: TestCas,
  path: string,
  { method = "GET", identity, body, headers }: RawRequest = {},
): Promise<RawAnswer> {
  const { host, port } = cas.running.clientAddress;
  const client = identity === undefined ? {} : { cert: identity.certificate, key: identity.privateKey };
  const outgoing = request({ host, port, method, path, headers: { ...headers }, agent: false, rejectUnauthorized: false, ...client });
  outgoing.end(body);
  return new Promise((resolve, reject) => {
    outgoing.on("error", reject);
    outgoing.on("response", (response) => {
      const flat = Object.entries(response.headers).map(([name, value]) => [name, String(value)]);
      text(response).then(
        (content) => resolve({ status: response.statusCode ?? 0, headers: Object.fromEntries(flat), body: content }),
        reject,
      );
    });
  });
}
