import { CAS_CLIENT_PORT, type CasClient } from "@vouchsafe/protocol";
import { z } from "zod";
import type { Cluster } from "../cluster/cluster.ts";
import type { Log } from "../cluster/log.ts";
import { recordEvent } from "../cluster/record-event.ts";
import { CasResource, LasResource, PolicyResource, SgxPluginResource, type State } from "../custom-resources/resources.ts";
import { AgentIdentity } from "../las/agent-server.ts";
import { askAgentIdentity } from "../las/ask-agent.ts";
import { planCas } from "../objects/cas-objects.ts";
import { AGENT_RECORD_LABEL, NODE_LABELS, planLas } from "../objects/las-objects.ts";
import { componentSelector, type PlatformObject } from "../objects/platform-object.ts";
import { probeCas } from "./cas-probe.ts";
import { condition, mergeConditions } from "./conditions.ts";
import { judgeCas } from "./judge-cas.ts";
import { type AgentSeen, judgeLas } from "./judge-las.ts";
import { judgePod, Pod } from "./pod-health.ts";
import { uploadPolicy } from "./reconcile-policy.ts";
import { offerDevices } from "./sgx-plugin.ts";
import { watchResources } from "./watch-resources.ts";
import { type NextLook, WorkQueue } from "./work-queue.ts";

export interface OperatorSettings {
  readonly casImage: string;
  readonly lasImage: string;
  /** How the operator reaches a host of the cluster; tests put their own address here. */
  readonly connect: (host: string, port: number) => CasClient;
  readonly now: () => Date;
}

/** How often a resource is looked at, by what was seen last: a healthy one rarely, any other soon. */
const NEXT_LOOK_MS: Readonly<Record<State, number>> = { HEALTHY: 30_000, PENDING: 3_000, UNHEALTHY: 5_000 };
const POLICY_RETRY_MS = 3_000;
const POLICY_LONGEST_RETRY_MS = 30_000;

const KINDS = [
  { apiVersion: "services.scone.cloud/v1beta1", kind: "CAS" },
  { apiVersion: "base.scone.cloud/v1beta1", kind: "LAS" },
  { apiVersion: "base.scone.cloud/v1beta1", kind: "SGXPlugin" },
  { apiVersion: "cas.scone.cloud/v1beta1", kind: "SignedPolicy" },
  { apiVersion: "cas.scone.cloud/v1beta1", kind: "EncryptedPolicy" },
] as const;
const HeaderOfItem = z.object({ metadata: z.object({ name: z.string(), namespace: z.string().optional() }) });

/** Brings the cluster to what the platform's resources say, and writes into their status what was really seen. */
export class Operator {
  readonly #cluster: Cluster;
  readonly #settings: OperatorSettings;
  readonly #log: Log;
  readonly #queue: WorkQueue;
  readonly #policyTries = new Map<string, number>();

  constructor(cluster: Cluster, settings: OperatorSettings, log: Log) {
    this.#cluster = cluster;
    this.#settings = settings;
    this.#log = log;
    this.#queue = new WorkQueue(
      (key) => this.#reconcile(key),
      (key, error) => log("reconcile_failed", { key, reason: error instanceof Error ? error.message : String(error) }),
    );
  }

  /** Works until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const watches = KINDS.map((collection) =>
      watchResources(this.#cluster, collection, (object) => this.#queue.add(keyOf(collection.kind, object)), this.#log, signal),
    );
    await Promise.all(watches);
    this.#queue.stop();
  }

  async #reconcile(key: string): Promise<NextLook> {
    const [kind = "", namespace = "", name = ""] = key.split(" ");
    const collection = KINDS.find((candidate) => candidate.kind === kind);
    if (collection === undefined) throw new TypeError(`no work is known for ${key}`);
    const header = { ...collection, metadata: namespace === "" ? { name } : { name, namespace } };
    const found = await this.#cluster.find(header);
    if (found === undefined) return undefined; // removed; its objects go with it
    switch (collection.kind) {
      case "CAS":
        return this.#cas(header, CasResource.parse(found));
      case "LAS":
        return this.#las(header, LasResource.parse(found));
      case "SGXPlugin":
        return this.#sgxPlugin(header, SgxPluginResource.parse(found));
      case "SignedPolicy":
      case "EncryptedPolicy":
        return this.#policy(key, header, PolicyResource.parse(found));
      default:
        return collection satisfies never;
    }
  }

  async #cas(header: PlatformObject, cas: CasResource): Promise<NextLook> {
    await this.#applyAll(planCas(cas, { image: this.#settings.casImage }));
    const { name, namespace = "default" } = cas.metadata;
    const pod = Pod.safeParse(await this.#cluster.find({ apiVersion: "v1", kind: "Pod", metadata: { name: `${name}-0`, namespace } })).data;
    const health = judgePod(pod);
    const now = this.#settings.now();
    if (health.state !== "HEALTHY") return this.#writeState(header, judgeCas(cas, health, undefined, now));
    const probe = await this.#ask(`${name}.${namespace}`, cas.spec.service.clientPort, (client) => probeCas(client, now));
    return this.#writeState(header, judgeCas(cas, health, probe, now));
  }

  async #las(header: PlatformObject, las: LasResource): Promise<NextLook> {
    await this.#applyAll(planLas(las, { image: this.#settings.lasImage }));
    const { namespace } = las.spec;
    const selector = Object.entries(componentSelector("las", las.metadata.name)).map(([label, value]) => `${label}=${value}`);
    const pods = (await this.#cluster.list({ apiVersion: "v1", kind: "Pod", namespace }, selector.join(","))).map((pod) => Pod.parse(pod));
    const published = await this.#publishedKeys(namespace);
    const agents = await Promise.all(
      pods.map(async (pod): Promise<AgentSeen> => {
        const node = pod.spec.nodeName ?? pod.metadata.name;
        const host = pod.status.hostIP;
        const answer = host === undefined ? undefined : await askAgentIdentity(host, las.spec.port);
        return { node, pod: judgePod(pod), answer, publishedKey: published.get(node) };
      }),
    );
    const daemonSet = DaemonSetStatus.parse(
      await this.#cluster.find({ apiVersion: "apps/v1", kind: "DaemonSet", metadata: { name: `${las.metadata.name}-agent`, namespace } }),
    );
    const { status, readyNodes } = judgeLas(las, daemonSet.status.desiredNumberScheduled, agents, this.#settings.now());
    await this.#labelNodes(readyNodes);
    return this.#writeState(header, status);
  }

  async #publishedKeys(namespace: string): Promise<ReadonlyMap<string, string>> {
    const records = await this.#cluster.list({ apiVersion: "v1", kind: "ConfigMap", namespace }, `${AGENT_RECORD_LABEL}=true`);
    const keys = new Map<string, string>();
    for (const record of records) {
      const parsed = AgentRecord.safeParse(record);
      const identity = parsed.success ? AgentIdentity.safeParse(parseJson(parsed.data.data.identity)) : undefined;
      if (parsed.success && identity?.success === true) keys.set(parsed.data.data.node, identity.data.publicKey);
    }
    return keys;
  }

  /** CL-65: charts select nodes by these labels; a node whose agent is away loses them. */
  async #labelNodes(ready: readonly string[]): Promise<void> {
    const nodes = (await this.#cluster.list({ apiVersion: "v1", kind: "Node" })).map((node) => LabelledNode.parse(node));
    for (const { metadata } of nodes) {
      const isReady = ready.includes(metadata.name);
      const isLabelled = Object.keys(NODE_LABELS).some((label) => metadata.labels[label] !== undefined);
      if (isReady === isLabelled) continue;
      const labels = isReady ? NODE_LABELS : Object.fromEntries(Object.keys(NODE_LABELS).map((label) => [label, null]));
      await this.#cluster.merge({ apiVersion: "v1", kind: "Node", metadata: { name: metadata.name } }, { metadata: { labels } });
    }
  }

  async #sgxPlugin(header: PlatformObject, plugin: SgxPluginResource): Promise<NextLook> {
    return this.#writeState(header, await offerDevices(this.#cluster, plugin, this.#settings.now()));
  }

  async #policy(key: string, header: PlatformObject, policy: PolicyResource): Promise<NextLook> {
    const { generation } = policy.metadata;
    if (policy.status.revision === generation && (policy.status.state === "UPLOADED" || policy.status.state === "FAILED")) return undefined;
    const address = new URL(policy.spec.casAddress);
    const port = address.port === "" ? CAS_CLIENT_PORT : Number(address.port);
    const result = await this.#ask(address.hostname, port, (client) => uploadPolicy(policy, client));
    const isUploaded = result.state === "UPLOADED";
    const reason = isUploaded ? "Uploaded" : result.reason;
    const message = isUploaded ? `in force as ${result.hash}` : result.message;
    const conditions = mergeConditions(
      policy.status.conditions,
      [condition("Uploaded", isUploaded, reason, message)],
      this.#settings.now(),
    );
    const status = { state: result.state, revision: generation, ...(isUploaded ? { hash: result.hash } : {}), conditions };
    await this.#cluster.merge(header, { status }, "status");
    const { name, namespace = "default", uid } = policy.metadata;
    this.#log("policy", { kind: policy.kind, name: `${namespace}/${name}`, state: result.state, reason });
    const subject = { name, namespace, uid, apiVersion: header.apiVersion, kind: header.kind };
    await recordEvent(this.#cluster, subject, { type: isUploaded ? "Normal" : "Warning", reason, message });
    if (result.state !== "PENDING") {
      this.#policyTries.delete(key);
      return undefined;
    }
    const tries = this.#policyTries.get(key) ?? 0;
    this.#policyTries.set(key, tries + 1);
    return Math.min(POLICY_LONGEST_RETRY_MS, POLICY_RETRY_MS * 2 ** Math.min(tries, 8));
  }

  async #ask<T>(host: string, port: number, question: (client: CasClient) => Promise<T>): Promise<T> {
    const client = this.#settings.connect(host, port);
    try {
      return await question(client);
    } finally {
      client.close();
    }
  }

  async #applyAll(objects: readonly PlatformObject[]): Promise<void> {
    for (const object of objects) await this.#cluster.apply(object);
  }

  async #writeState(header: PlatformObject, status: object): Promise<NextLook> {
    await this.#cluster.merge(header, { status }, "status");
    return NEXT_LOOK_MS[StateOf.parse(status).state];
  }
}

const StateOf = z.object({ state: z.enum(["HEALTHY", "PENDING", "UNHEALTHY"]) });
const DaemonSetStatus = z.object({ status: z.object({ desiredNumberScheduled: z.number().default(0) }).prefault({}) });
const AgentRecord = z.object({ data: z.object({ node: z.string(), identity: z.string().max(16_384) }) });
const LabelledNode = z.object({ metadata: z.object({ name: z.string(), labels: z.record(z.string(), z.string()).default({}) }) });

function keyOf(kind: string, object: object): string {
  const { name, namespace = "" } = HeaderOfItem.parse(object).metadata;
  return `${kind} ${namespace} ${name}`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // an agent of another version: its record counts as absent
  }
}
