import { type IncomingMessage, request } from "node:http";
import { pipeline } from "node:stream/promises";
import { type EngineAddress, formatEngineAddress } from "./engine-address.ts";
import { packImageArchive } from "./image-archive.ts";
import { ImageError } from "./image-error.ts";
import type { LocalRepository } from "./local-repository.ts";

/** An engine that is there answers at once; one that is not must not hold up a build. */
const PING_TIMEOUT_MS = 3_000;
const LOAD_TIMEOUT_MS = 10 * 60_000;
const ANSWER_MAX_BYTES = 1024 * 1024;

/** Whether something answers there as a container engine does (Docker Engine API, `/_ping`; podman serves it too). */
export async function isEngineThere(engine: EngineAddress, signal?: AbortSignal): Promise<boolean> {
  try {
    const limit = AbortSignal.timeout(PING_TIMEOUT_MS);
    const { status } = await call(engine, "GET", "/_ping", signal === undefined ? limit : AbortSignal.any([signal, limit]));
    return status === 200;
  } catch {
    return false; // nobody there, or nobody that may be asked
  }
}

/** Puts an image into the store of a container engine, under its reference. Throws E-ENGINE with what the engine said. */
export async function loadIntoEngine(
  repository: LocalRepository,
  reference: string,
  engine: EngineAddress,
  signal?: AbortSignal,
): Promise<void> {
  const archive = await packImageArchive(repository, reference);
  const limit = AbortSignal.timeout(LOAD_TIMEOUT_MS);
  const refused = (why: string, cause?: unknown) =>
    new ImageError("E-ENGINE", `the container engine at ${formatEngineAddress(engine)} did not take ${reference}: ${why}`, {
      cause,
      remedy: "Read the engine's log, or set DOCKER_HOST to another engine.",
    });
  let answer: Answer;
  try {
    const ending = signal === undefined ? limit : AbortSignal.any([signal, limit]);
    answer = await call(engine, "POST", "/images/load?quiet=1", ending, archive);
  } catch (error) {
    signal?.throwIfAborted();
    throw refused(error instanceof Error ? error.message : String(error), error);
  }
  // Engines answer 200 before they have read everything; a failure is a line of the answer then.
  const [, why] = /"error"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(answer.text) ?? [];
  if (answer.status !== 200 || why !== undefined) throw refused((why ?? answer.text.trim()) || `status ${answer.status}`);
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

async function call(
  engine: EngineAddress,
  method: string,
  path: string,
  signal: AbortSignal,
  body?: AsyncIterable<Uint8Array>,
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const place = engine.kind === "socket" ? { socketPath: engine.path } : { host: engine.host, port: engine.port };
  const headers = { host: "engine", ...(body === undefined ? {} : { "content-type": "application/x-tar" }) };
  const outgoing = request({ ...place, method, path, headers, signal, agent: false }, resolve).on("error", reject);
  if (body === undefined) outgoing.end();
  else pipeline(body, outgoing).catch(reject); // an engine that refuses may answer before it has read everything
  const incoming = await promise;
  let text = "";
  for await (const chunk of incoming.setEncoding("utf8")) {
    text += String(chunk);
    if (text.length > ANSWER_MAX_BYTES) throw new Error(`an answer of more than ${ANSWER_MAX_BYTES} bytes`);
  }
  return { status: incoming.statusCode ?? 0, text };
}
