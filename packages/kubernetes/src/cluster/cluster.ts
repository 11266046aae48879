import type { IncomingMessage } from "node:http";
import { type RequestOptions, request } from "node:https";
import { createInterface } from "node:readline";
import type { KubeConfig } from "@kubernetes/client-node";
import { z } from "zod";
import { KubernetesError } from "../kubernetes-error.ts";
import type { PlatformObject } from "../objects/platform-object.ts";
import { type Collection, collectionPath, isNamespaced } from "./resource-kinds.ts";

/** Fields that we set are ours: server-side apply removes them again when a plan no longer has them. */
const FIELD_MANAGER = "vouchsafe";
const ANSWER_MAX_BYTES = 64 * 1024 * 1024;
const TIMEOUT_MS = 30_000;

export type Header = Pick<PlatformObject, "apiVersion" | "kind" | "metadata">;
export type WatchEvent = { readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR"; readonly object: unknown };

interface Call {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly accept?: string;
  readonly signal?: AbortSignal | undefined;
}

const ObjectList = z.object({ metadata: z.object({ resourceVersion: z.string().default("") }), items: z.array(z.looseObject({})) });
const TokenAnswer = z.object({ status: z.object({ token: z.string() }) });
const Status = z.object({ message: z.string(), reason: z.string().optional() });
const Watched = z.object({ type: z.enum(["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]), object: z.looseObject({}) });

/** The cluster refused; `status` is the HTTP status, 0 where there was no answer. */
export class ClusterError extends KubernetesError {
  readonly status: number;
  constructor(status: number, message: string, cause?: unknown) {
    const remedy =
      status === 0
        ? "Check that the cluster runs and that KUBECONFIG names it."
        : status === 403
          ? "Ask the cluster's administrator for this right."
          : undefined;
    super("E-CLUSTER", message, { cause, ...(remedy === undefined ? {} : { remedy }) });
    this.status = status;
  }
}

/**
 * The cluster's API: whole objects as data, server-side apply, watches. The library supplies the configuration with all its kinds of login;
 * its typed object layer is not used, since it drops fields that it does not know.
 */
export class Cluster {
  readonly config: KubeConfig;

  constructor(config: KubeConfig) {
    this.config = config;
  }

  /** Creates or updates. With `isDryRun` the server checks everything and keeps nothing. */
  async apply(object: PlatformObject, options: { readonly isDryRun?: boolean } = {}): Promise<unknown> {
    const query = new URLSearchParams({ fieldManager: FIELD_MANAGER, force: "true", fieldValidation: "Strict" });
    if (options.isDryRun) query.set("dryRun", "All");
    return this.#json({
      method: "PATCH",
      path: `${objectPath(object)}?${query}`,
      body: object,
      contentType: "application/apply-patch+yaml",
    });
  }

  async create(object: PlatformObject, signal?: AbortSignal): Promise<unknown> {
    return this.#json({ method: "POST", path: collectionPath(collectionOf(object)), body: object, signal });
  }

  /** Replaces an object whose `metadata.resourceVersion` must still be the present one; else ClusterError with status 409. */
  async replace(object: PlatformObject, signal?: AbortSignal): Promise<unknown> {
    return this.#json({ method: "PUT", path: objectPath(object), body: object, signal });
  }

  /** Merges fields into an object that exists. */
  async merge(header: Header, fields: object, subresource?: "status"): Promise<unknown> {
    const path = `${objectPath(header)}${subresource === undefined ? "" : `/${subresource}`}`;
    return this.#json({ method: "PATCH", path, body: fields, contentType: "application/merge-patch+json" });
  }

  async find(header: Header, signal?: AbortSignal): Promise<unknown> {
    try {
      return await this.#json({ method: "GET", path: objectPath(header), signal });
    } catch (error) {
      if (error instanceof ClusterError && error.status === 404) return undefined;
      throw error;
    }
  }

  /** Absent objects are no error. */
  async remove(header: Header): Promise<void> {
    try {
      await this.#json({ method: "DELETE", path: objectPath(header), body: { propagationPolicy: "Background" } });
    } catch (error) {
      if (!(error instanceof ClusterError && error.status === 404)) throw error;
    }
  }

  /** Removes the very object with this uid, and leaves what belongs to it as it is, without an owner. */
  async orphan(header: Header, uid: string): Promise<void> {
    await this.#json({ method: "DELETE", path: objectPath(header), body: { propagationPolicy: "Orphan", preconditions: { uid } } });
  }

  /** Objects of a kind, each with its `apiVersion` and `kind`, which lists leave out; none where the cluster does not know the kind. */
  async list(collection: Collection, labelSelector?: string): Promise<readonly object[]> {
    return (await this.listAt(collection, labelSelector)).items;
  }

  /** As `list`, with the version from which a watch goes on. */
  async listAt(
    collection: Collection,
    labelSelector?: string,
  ): Promise<{ readonly items: readonly object[]; readonly resourceVersion: string }> {
    const query = labelSelector === undefined ? "" : `?${new URLSearchParams({ labelSelector })}`;
    const { apiVersion, kind } = collection;
    try {
      const { items, metadata } = ObjectList.parse(await this.#json({ method: "GET", path: `${collectionPath(collection)}${query}` }));
      return { items: items.map((item) => ({ ...item, apiVersion, kind })), resourceVersion: metadata.resourceVersion };
    } catch (error) {
      if (error instanceof ClusterError && error.status === 404) return { items: [], resourceVersion: "" };
      throw error;
    }
  }

  /** Changes since `resourceVersion`, until the server ends the watch or `signal` does. */
  async *watch(collection: Collection, resourceVersion: string, signal: AbortSignal, labelSelector?: string): AsyncGenerator<WatchEvent> {
    const query = new URLSearchParams({ watch: "1", resourceVersion, allowWatchBookmarks: "true", timeoutSeconds: "240" });
    if (labelSelector !== undefined) query.set("labelSelector", labelSelector);
    const answer = await this.#open({ method: "GET", path: `${collectionPath(collection)}?${query}`, signal });
    if (answer.statusCode !== 200) throw refusal(answer.statusCode ?? 0, await readAll(answer), "watch");
    try {
      for await (const line of createInterface({ input: answer, crlfDelay: Number.POSITIVE_INFINITY }))
        yield Watched.parse(JSON.parse(line));
    } finally {
      answer.destroy();
    }
  }

  /** JSON patch of a node's status: how an administrator offers further resources of a node. */
  async patchNodeStatus(node: string, operations: readonly object[]): Promise<void> {
    await this.#json({
      method: "PATCH",
      path: `/api/v1/nodes/${node}/status`,
      body: operations,
      contentType: "application/json-patch+json",
    });
  }

  /** A service-account token for the given audiences, bound to a pod. */
  async requestToken(namespace: string, account: string, spec: object): Promise<string> {
    const answer = await this.#json({
      method: "POST",
      path: `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`,
      body: { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec },
    });
    return TokenAnswer.parse(answer).status.token;
  }

  /** Any document that the API serves below a fixed path. */
  read(path: string): Promise<unknown> {
    return this.#json({ method: "GET", path, accept: "application/json, */*" });
  }

  /** Log of a pod's first container. */
  async podLog(namespace: string, pod: string, limitBytes = 1024 * 1024): Promise<string> {
    const answer = await this.#open({ method: "GET", path: `/api/v1/namespaces/${namespace}/pods/${pod}/log?limitBytes=${limitBytes}` });
    const text = await readAll(answer);
    if (answer.statusCode !== 200) throw refusal(answer.statusCode ?? 0, text, `the log of ${namespace}/${pod}`);
    return text;
  }

  /** Version of the API server, e.g. `v1.34.4`: also the cheapest proof that the cluster answers. */
  async version(): Promise<string> {
    return z.object({ gitVersion: z.string() }).parse(await this.#json({ method: "GET", path: "/version" })).gitVersion;
  }

  /** What time the API server has, to the second. */
  async time(): Promise<Date> {
    const answer = await this.#open({ method: "GET", path: "/version", signal: AbortSignal.timeout(TIMEOUT_MS) });
    await readAll(answer);
    const date = answer.headers.date;
    if (date === undefined) throw new ClusterError(0, "the cluster's answer has no date");
    return new Date(date);
  }

  async #json(call: Call): Promise<unknown> {
    const deadline = AbortSignal.timeout(TIMEOUT_MS);
    const answer = await this.#open({ ...call, signal: call.signal === undefined ? deadline : AbortSignal.any([call.signal, deadline]) });
    const text = await readAll(answer);
    const status = answer.statusCode ?? 0;
    if (status < 200 || status >= 300) throw refusal(status, text, `${call.method} ${call.path.split("?")[0]}`);
    return JSON.parse(text);
  }

  async #open(call: Call): Promise<IncomingMessage> {
    const server = this.config.getCurrentCluster()?.server;
    if (server === undefined) throw noCluster();
    const body = call.body === undefined ? undefined : JSON.stringify(call.body);
    const options: RequestOptions = { method: call.method, headers: { accept: call.accept ?? "application/json" } };
    if (call.signal !== undefined) options.signal = call.signal;
    await this.config.applyToHTTPSOptions(options);
    options.headers = {
      ...(options.headers as Record<string, string>), // set above, extended by the library
      ...(body === undefined ? {} : { "content-type": call.contentType ?? "application/json", "content-length": Buffer.byteLength(body) }),
    };
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const outgoing = request(new URL(call.path, server), options, resolve);
    outgoing.on("error", (cause) => reject(new ClusterError(0, `the cluster at ${server} does not answer: ${cause.message}`, cause)));
    outgoing.end(body);
    return promise;
  }
}

export function noCluster(): KubernetesError {
  return new KubernetesError("E-CLUSTER", "no cluster is configured", {
    remedy: "Set KUBECONFIG to the configuration of your cluster, or create ~/.kube/config.",
  });
}

const collectionOf = ({ apiVersion, kind, metadata }: Header): Collection => ({
  apiVersion,
  kind,
  namespace: isNamespaced(apiVersion, kind) ? (metadata.namespace ?? "default") : undefined,
});

const objectPath = (header: Header): string => `${collectionPath(collectionOf(header))}/${encodeURIComponent(header.metadata.name)}`;

function refusal(status: number, text: string, what: string): ClusterError {
  let message = text.slice(0, 300);
  try {
    message = Status.parse(JSON.parse(text)).message;
  } catch {
    // a proxy's page instead of a Status: shown as it is
  }
  return new ClusterError(status, `the cluster refused ${what} (${status}): ${message}`);
}

async function readAll(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > ANSWER_MAX_BYTES) throw new ClusterError(0, `the cluster's answer is larger than ${ANSWER_MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
