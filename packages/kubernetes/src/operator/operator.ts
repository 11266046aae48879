import { CAS_CLIENT_PORT, type CasClient } from "@vouchsafe/protocol";
import { z } from "zod";
import { type Cluster, ClusterError } from "../cluster/cluster.ts";
import type { Log } from "../cluster/log.ts";
import { recordEvent } from "../cluster/record-event.ts";
import {
  CasResource,
  type Condition,
  LasResource,
  PolicyResource,
  SgxPluginResource,
  STATES,
  type State,
} from "../custom-resources/resources.ts";
import { planCas } from "../objects/cas-objects.ts";
import { CHANGED_ANNOTATION } from "../objects/changed-annotation.ts";
import { planLas } from "../objects/las-objects.ts";
import type { CasPlace } from "../objects/node-platform.ts";
import type { PlatformObject } from "../objects/platform-object.ts";
import { RECOVERY_ANNOTATION } from "../objects/recovery-container.ts";
import { AgentDirectory, type KnownAgent } from "./agent-directory.ts";
import { attestCasResource, type JudgeCasResource } from "./attest-cas-resource.ts";
import { registerBackups } from "./backup-controller.ts";
import { readPlace } from "./cas-place.ts";
import { condition, culpritOf, mergeConditions } from "./conditions.ts";
import { DELETED_CAS, judgeCas } from "./judge-cas.ts";
import { judgeLas } from "./judge-las.ts";
import { lookAtAgents } from "./look-at-agents.ts";
import { labelNodes } from "./node-labels.ts";
import { judgePod, Pod } from "./pod-health.ts";
import { PLATFORM_PODS, readPodNews } from "./pod-news.ts";
import { uploadPolicy } from "./reconcile-policy.ts";
import { type Obstacle, reinstallWorkload } from "./reinstall-workload.ts";
import { offerDevices, withdrawDevices } from "./sgx-plugin.ts";
import { type ResourceChange, watchResources } from "./watch-resources.ts";
import { type NextLook, WorkQueue } from "./work-queue.ts";

export interface OperatorSettings {
  readonly casImage: string;
  readonly lasImage: string;
  /** The operator's own pod. */
  readonly operator: { readonly namespace: string; readonly pod: string };
  /** How the operator reaches a host of the cluster; tests put their own address here. */
  readonly connect: (host: string, port: number) => CasClient;
  readonly judge: JudgeCasResource;
  readonly now: () => Date;
  /** Time until the next look where nothing happens, by what was seen last; tests have it longer. */
  readonly nextLookMs?: Readonly<Record<State, number>>;
}

/** How often a resource is looked at, by what was seen last: a healthy one rarely, any other soon. */
const NEXT_LOOK_MS: Readonly<Record<State, number>> = { HEALTHY: 30_000, PENDING: 3_000, UNHEALTHY: 5_000 };
/** The cluster understood, and will never take it as it is. */
const HTTP_UNPROCESSABLE = 422;
const POLICY_RETRY_MS = 3_000;
const POLICY_LONGEST_RETRY_MS = 30_000;

const KINDS = [
  { apiVersion: "services.scone.cloud/v1beta1", kind: "CAS" },
  { apiVersion: "base.scone.cloud/v1beta1", kind: "LAS" },
  { apiVersion: "base.scone.cloud/v1beta1", kind: "SGXPlugin" },
  { apiVersion: "cas.scone.cloud/v1beta1", kind: "SignedPolicy" },
  { apiVersion: "cas.scone.cloud/v1beta1", kind: "EncryptedPolicy" },
] as const;
const HeaderOfItem = z.object({
  metadata: z.object({
    name: z.string(),
    namespace: z.string().optional(),
    uid: z.string(),
    generation: z.number().default(0),
    annotations: z.record(z.string(), z.string()).default({}),
  }),
});
/** Looked at once at the start, so that nodes are set right although the resource was removed while no operator ran. */
const FIRST_LOOKS = ["LAS  ", "SGXPlugin  "];

/** Brings the cluster to what the platform's resources say, and writes into their status what was really seen. */
export class Operator {
  readonly #cluster: Cluster;
  readonly #settings: OperatorSettings;
  readonly #log: Log;
  readonly #queue: WorkQueue;
  readonly #policyTries = new Map<string, number>();
  readonly #agents = new AgentDirectory();
  /** Keys by kind, with the version of the wish that was last put into the queue: a change of status alone is our own and no news. */
  readonly #wishes = new Map<string, string>();
  /** What was last seen of each pod of the platform, by its uid. */
  readonly #pods = new Map<string, string>();

  constructor(cluster: Cluster, settings: OperatorSettings, log: Log) {
    this.#cluster = cluster;
    this.#settings = settings;
    this.#log = log;
    this.#queue = new WorkQueue(
      (key) => this.#reconcile(key),
      (key, error) => log("reconcile_failed", { key, reason: error instanceof Error ? error.message : String(error) }),
    );
  }

  /** Works until `signal` aborts; returns when everything begun has ended. */
  async run(signal: AbortSignal): Promise<void> {
    const watches = KINDS.map((collection) =>
      watchResources(this.#cluster, collection, (change) => this.#note(collection.kind, change), this.#log, signal),
    );
    const pods = { apiVersion: "v1", kind: "Pod" };
    watches.push(watchResources(this.#cluster, pods, (change) => this.#notePod(change), this.#log, signal, PLATFORM_PODS));
    for (const key of FIRST_LOOKS) this.#queue.add(key);
    await Promise.all(watches);
    await this.#queue.stop();
  }

  #note(kind: string, { object, isRemoved, isListed }: ResourceChange): void {
    const key = keyOf(kind, object);
    const { uid, generation, annotations } = HeaderOfItem.parse(object).metadata;
    const wish = `${uid} ${generation} ${annotations[RECOVERY_ANNOTATION] ?? ""} ${annotations[CHANGED_ANNOTATION] ?? ""}`;
    if (isRemoved) this.#wishes.delete(key);
    else if (!isListed && this.#wishes.get(key) === wish) return;
    else this.#wishes.set(key, wish);
    this.#queue.add(key);
  }

  /** A pod that became ready, ended or went: its resource is looked at now, and not when its turn comes. */
  #notePod({ object, isRemoved }: ResourceChange): void {
    const { uid, kind, namespace, name, state } = readPodNews(object);
    if (isRemoved) this.#pods.delete(uid);
    else if (this.#pods.get(uid) === state) return;
    else this.#pods.set(uid, state);
    const key = `${kind} ${namespace} ${name}`;
    if (this.#wishes.has(key)) this.#queue.add(key);
  }

  async #reconcile(key: string): Promise<NextLook> {
    const [kind = "", namespace = "", name = ""] = key.split(" ");
    const collection = KINDS.find((candidate) => candidate.kind === kind);
    if (collection === undefined) throw new TypeError(`no work is known for ${key}`);
    const header = { ...collection, metadata: namespace === "" ? { name } : { name, namespace } };
    const found = name === "" ? undefined : await this.#cluster.find(header);
    if (found === undefined) return this.#removed(collection.kind, name);
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

  /** Objects in the cluster go with the resource that owns them; what was written on nodes does not. */
  async #removed(kind: (typeof KINDS)[number]["kind"], name: string): Promise<NextLook> {
    if (kind === "LAS") {
      this.#agents.replace(name, []);
      await labelNodes(this.#cluster, name, []);
    }
    if (kind === "SGXPlugin") await withdrawDevices(this.#cluster);
    return undefined;
  }

  async #cas(header: PlatformObject, cas: CasResource): Promise<NextLook> {
    const { name, namespace = "default", deletionTimestamp } = cas.metadata;
    // What is applied now would only have to be deleted again.
    if (deletionTimestamp !== undefined) return this.#writeState(header, cas, DELETED_CAS);
    const place = await readPlace(this.#cluster, cas);
    const obstacle = await this.#applyCas(cas, place);
    const pod = Pod.safeParse(await this.#cluster.find({ apiVersion: "v1", kind: "Pod", metadata: { name: `${name}-0`, namespace } })).data;
    const health = judgePod(pod);
    const now = this.#settings.now();
    const base = { pod: health, podUid: pod?.metadata.uid, obstacle };
    if (health.state !== "HEALTHY") return this.#writeState(header, cas, judgeCas(cas, base, now));
    const seen = await this.#ask(`${name}.${namespace}`, cas.spec.service.clientPort, async (client) => {
      const probe = await attestCasResource(client, cas, this.#settings.judge, now);
      // Whoever is not what the resource wants is told nothing of the cluster.
      if (probe.kind !== "answered" || probe.verdict.kind === "refused" || probe.statement.state !== "provisioned") return { probe };
      const enrolment = await this.#agents.enrol(probe.keyHash, client, now);
      if (!cas.spec["backup-controller"].enabled) return { probe, enrolment };
      return { probe, enrolment, backups: await registerBackups(this.#cluster, cas, probe, client, place, this.#settings) };
    });
    const next = await this.#writeState(header, cas, judgeCas(cas, { ...base, ...seen }, now));
    return seen.backups?.isBusy === true && next !== undefined ? Math.min(next, NEXT_LOOK_MS.PENDING) : next;
  }

  async #las(header: PlatformObject, las: LasResource): Promise<NextLook> {
    await this.#applyAll(planLas(las, { image: this.#settings.lasImage }));
    const { desired, agents } = await lookAtAgents(this.#cluster, las);
    const { status, readyNodes } = judgeLas(las, desired, agents, this.#settings.now());
    await labelNodes(this.#cluster, las.metadata.name, readyNodes);
    const known = agents.flatMap(({ node, answer }): KnownAgent[] =>
      answer === undefined || !readyNodes.includes(node) ? [] : [{ node, publicKey: answer.publicKey, statement: answer.statement }],
    );
    const hasNews = this.#agents.replace(las.metadata.name, known);
    const next = await this.#writeState(header, las, status);
    if (hasNews) for (const key of this.#wishes.keys()) if (key.startsWith("CAS ")) this.#queue.add(key);
    return next;
  }

  async #sgxPlugin(header: PlatformObject, plugin: SgxPluginResource): Promise<NextLook> {
    return this.#writeState(header, plugin, await offerDevices(this.#cluster, plugin, this.#settings.now()));
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

  /** What the cluster does not take of the wish; undefined when it took all of it. */
  async #applyCas(cas: CasResource, place: CasPlace): Promise<Obstacle | undefined> {
    const planned = planCas(cas, { image: this.#settings.casImage }, place);
    try {
      await this.#applyAll(planned);
      return undefined;
    } catch (error) {
      if (!(error instanceof ClusterError) || error.status !== HTTP_UNPROCESSABLE) throw error;
      return reinstallWorkload(this.#cluster, cas, planned, error.message);
    }
  }

  async #applyAll(objects: readonly PlatformObject[]): Promise<void> {
    for (const object of objects) await this.#cluster.apply(object);
  }

  /** Writes what was seen; a change of state is an event too. */
  async #writeState(header: PlatformObject, resource: Resource, seen: object): Promise<NextLook> {
    const status = Seen.parse(seen);
    const { state, conditions } = status;
    await this.#cluster.merge(header, { status: seen }, "status");
    if (state !== resource.status.state) {
      const { name, namespace = "", uid } = resource.metadata;
      const culprit = culpritOf(conditions);
      const isGood = state === "HEALTHY";
      const message = isGood || culprit === undefined ? `${header.kind} ${name} is ${state}` : culprit.message;
      this.#log("state", { kind: header.kind, name, namespace, state, reason: culprit?.reason });
      await recordEvent(
        this.#cluster,
        { name, namespace, uid, apiVersion: header.apiVersion, kind: header.kind },
        { type: state === "UNHEALTHY" ? "Warning" : "Normal", reason: isGood ? "Healthy" : (culprit?.reason ?? "Pending"), message },
      );
    }
    return (this.#settings.nextLookMs ?? NEXT_LOOK_MS)[state] * (0.9 + Math.random() / 5);
  }
}

interface Resource {
  readonly metadata: { readonly name: string; readonly namespace?: string | undefined; readonly uid: string };
  readonly status: { readonly state?: State | undefined; readonly conditions: readonly Condition[] };
}
const Seen = z.object({
  state: z.enum(STATES),
  conditions: z.array(
    z.object({ type: z.string(), status: z.enum(["True", "False", "Unknown"]), reason: z.string(), message: z.string() }),
  ),
});

function keyOf(kind: string, object: object): string {
  const { name, namespace = "" } = HeaderOfItem.parse(object).metadata;
  return `${kind} ${namespace} ${name}`;
}
