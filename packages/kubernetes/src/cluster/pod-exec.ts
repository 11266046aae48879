import { Readable, Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { Exec, type V1Status } from "@kubernetes/client-node";
import { KubernetesError } from "../kubernetes-error.ts";
import type { Cluster } from "./cluster.ts";

export interface ContainerName {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

export interface PodCommand {
  readonly command: readonly string[];
  /** The command must know how much it reads: older API servers cannot be told that the input ends. */
  readonly input?: Uint8Array | undefined;
  /** Gets what the command writes, and is ended then. */
  readonly output?: Writable | undefined;
  readonly signal: AbortSignal;
}

const STDERR_MAX_CHARACTERS = 2_000;
const INPUT_CHUNK_BYTES = 64 * 1024;

/** Runs a command in a container through the cluster's API, as `kubectl exec` does. Throws E-CLUSTER with what it wrote to standard error. */
export async function runInPod(cluster: Cluster, where: ContainerName, { command, input, output, signal }: PodCommand): Promise<void> {
  const { namespace, pod, container } = where;
  const fail = (reason: string, cause?: unknown) =>
    new KubernetesError("E-CLUSTER", `${command[0]} in ${namespace}/${pod} failed: ${reason}`, {
      cause,
      remedy: `Check that the pod runs, and that you have the right to: kubectl -n ${namespace} exec ${pod}`,
    });
  let complaints = "";
  const stderr = sink((chunk) => {
    complaints = `${complaints}${chunk.toString()}`.slice(-STDERR_MAX_CHARACTERS);
  });
  const stdout = output ?? sink(() => undefined);
  const stdin = input === undefined ? null : feed(input);
  const { promise: ended, resolve, reject } = Promise.withResolvers<V1Status>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort);
  try {
    const connection = await new Exec(cluster.config)
      .exec(namespace, pod, container, [...command], stdout, stderr, stdin, false, resolve)
      .catch((error: unknown) => {
        throw fail(error instanceof Error && error.message !== "" ? error.message : "the cluster let nobody in", error);
      });
    connection.onclose = () => reject(fail("the connection ended"));
    const status = await ended;
    connection.onclose = () => undefined;
    connection.close();
    if (status.status !== "Success") throw fail(complaints.trim() || (status.message ?? "no reason was given"));
    await finished(stdout, { readable: false });
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** What a command writes, as text. */
export async function readFromPod(
  cluster: Cluster,
  where: ContainerName,
  command: readonly string[],
  signal: AbortSignal,
  maxBytes = 1024 * 1024,
): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  const output = sink((chunk) => {
    size += chunk.length;
    if (size <= maxBytes) chunks.push(chunk);
  });
  await runInPod(cluster, where, { command, output, signal });
  if (size > maxBytes) throw new KubernetesError("E-CLUSTER", `${command[0]} in ${where.pod} wrote more than ${maxBytes} bytes`);
  return Buffer.concat(chunks).toString();
}

const sink = (take: (chunk: Buffer) => void): Writable =>
  new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      take(chunk);
      done();
    },
  });

/** A stream of these bytes that does not end: its end would close the connection before the command has answered. */
function feed(bytes: Uint8Array): Readable {
  let at = 0;
  return new Readable({
    read() {
      if (at >= bytes.length) return;
      this.push(Buffer.from(bytes.subarray(at, at + INPUT_CHUNK_BYTES)));
      at += INPUT_CHUNK_BYTES;
    },
  });
}
