import { backupAudience, type CasClient, CasProblemError, formatCasAddress, ProtocolError } from "@vouchsafe/protocol";
import type { Cluster } from "../cluster/cluster.ts";
import type { BackupRecord, CasResource } from "../custom-resources/resources.ts";
import { backupSelector, planBackupJob } from "../objects/backup-objects.ts";
import { CAS_POD_PORTS } from "../objects/cas-configuration.ts";
import { backupObstacle, type CasPlace } from "../objects/node-platform.ts";
import { OPERATOR_NAME } from "../objects/operator-rights.ts";
import { type CasProbe, probeCas } from "./cas-probe.ts";
import { type ConditionChange, condition } from "./conditions.ts";
import { BackupNode, canOpen, judgeBackups } from "./judge-backups.ts";
import { judgePod, Pod } from "./pod-health.ts";

/** What the controller is and may use. */
export interface BackupControllerSettings {
  /** The operator's own pod, in whose name the cluster vouches for a registration. */
  readonly operator: { readonly namespace: string; readonly pod: string };
  readonly casImage: string;
  readonly connect: (host: string, port: number) => CasClient;
  readonly now: () => Date;
}

/** What a look at the nodes of a CAS came to; part of its status. */
export interface BackupsSeen {
  readonly condition: ConditionChange;
  readonly able: number;
  readonly desired: number;
  /** By node; null: the node is gone. */
  readonly records: Readonly<Record<string, BackupRecord | null>>;
  /** Something is under way that will be done in seconds. */
  readonly isBusy: boolean;
}

type Answered = Extract<CasProbe, { kind: "answered" }>;
type Outcome = { readonly kind: "waiting" | "failed"; readonly message: string } | { readonly kind: "able"; readonly record: BackupRecord };

/** Nodes that show themselves at the same time. */
const AT_ONCE = 5;
const STATEMENT_SECONDS = 600;

/**
 * Sees to it that every node to which a CAS could move is registered as its backup (C-75): on each node without a valid registration a CAS shows itself
 * for a minute, and the primary registers it on the cluster's word. `client` is connected to the primary, `primary` is what it said last.
 */
export async function registerBackups(
  cluster: Cluster,
  cas: CasResource,
  primary: Answered,
  client: CasClient,
  place: CasPlace,
  settings: BackupControllerSettings,
): Promise<BackupsSeen> {
  const obstacle = backupObstacle(cas, place);
  if (obstacle !== undefined) return nothing(condition(TYPE, false, obstacle.reason, obstacle.message));
  if (primary.statement.backups === undefined) {
    return nothing(
      condition(TYPE, false, "OldVersion", `the CAS has version ${primary.statement.version}, which no cluster can tell of its nodes`),
    );
  }
  const nodes = (await cluster.list({ apiVersion: "v1", kind: "Node" })).map((node) => BackupNode.parse(node));
  const { desired, able, missing, gone } = judgeBackups(cas, nodes, primary.statement);
  const outcomes = new Map<string, Outcome>();
  const shown = missing.length === 0 ? new Map<string, Pod>() : await waitingPods(cluster, cas);
  for (const node of missing.slice(0, AT_ONCE)) {
    outcomes.set(node.name, await registerNode(cluster, { cas, primary, client, settings }, node, shown.get(node.name)));
  }
  const registered = [...outcomes].flatMap(([name, outcome]) => (outcome.kind === "able" ? [[name, outcome.record] as const] : []));
  const count = able.length + registered.length;
  const problems = [...outcomes].flatMap(([name, outcome]) => (outcome.kind === "able" ? [] : [{ name, ...outcome }]));
  const isBusy = missing.length > AT_ONCE || problems.some(({ kind }) => kind === "waiting");
  const sum = `${count} of ${desired.length} nodes can open the database`;
  const first = problems.find(({ kind }) => kind === "failed") ?? problems[0];
  const isComplete = count === desired.length;
  const reason = isComplete ? "AllNodes" : first?.kind === "failed" ? "Refused" : "Registering";
  return {
    condition: condition(TYPE, isComplete, reason, first === undefined ? sum : `${sum}; ${first.name}: ${first.message}`),
    able: count,
    desired: desired.length,
    records: Object.fromEntries([...gone.map((name) => [name, null] as const), ...registered]),
    isBusy,
  };
}

const TYPE = "BackupsRegistered";
const nothing = (why: ConditionChange): BackupsSeen => ({ condition: why, able: 0, desired: 0, records: {}, isBusy: false });

/** Pods that show a node, by node; those that have ended do not count. */
async function waitingPods(cluster: Cluster, cas: CasResource): Promise<Map<string, Pod>> {
  const { name, namespace = "default" } = cas.metadata;
  const selector = Object.entries(backupSelector(name)).map(([label, value]) => `${label}=${value}`);
  const pods = (await cluster.list({ apiVersion: "v1", kind: "Pod", namespace }, selector.join(","))).map((pod) => Pod.parse(pod));
  const present = pods.filter(({ metadata, status }) => metadata.deletionTimestamp === undefined && !ENDED.has(status.phase));
  return new Map(present.flatMap((pod) => (pod.spec.nodeName === undefined ? [] : [[pod.spec.nodeName, pod] as const])));
}
const ENDED = new Set(["Succeeded", "Failed"]);

interface Work {
  readonly cas: CasResource;
  readonly primary: Answered;
  readonly client: CasClient;
  readonly settings: BackupControllerSettings;
}

async function registerNode(cluster: Cluster, work: Work, node: BackupNode, pod: Pod | undefined): Promise<Outcome> {
  const { cas, primary, settings } = work;
  if (pod === undefined) {
    await cluster.apply(planBackupJob(cas, node.name, { image: settings.casImage }));
    return { kind: "waiting", message: "a CAS is started there to show its platform" };
  }
  const health = judgePod(pod);
  if (health.state === "UNHEALTHY") return { kind: "failed", message: health.message };
  const host = pod.status.podIP;
  if (host === undefined) return { kind: "waiting", message: health.message };
  const waiting = settings.connect(host, CAS_POD_PORTS.client);
  let seen: CasProbe;
  try {
    seen = await probeCas(waiting, settings.now());
  } finally {
    waiting.close();
  }
  if (seen.kind !== "answered") return { kind: seen.kind === "unreachable" ? "waiting" : "failed", message: seen.message };
  const { instanceKey } = seen.statement;
  if (!canOpen(primary.statement, instanceKey)) {
    const refusal = await enrol(cluster, work, node.name, { host, casKeyHash: seen.keyHash });
    if (refusal !== undefined) return { kind: "failed", message: refusal };
  }
  const { bootID, machine } = node;
  const registeredAt = settings.now().toISOString();
  return { kind: "able", record: { instanceKey, bootID, machine, version: primary.statement.version, registeredAt } };
}

/** Why the primary did not register it; undefined when it did. */
async function enrol(
  cluster: Cluster,
  { primary, client, settings }: Work,
  name: string,
  { host, casKeyHash }: { readonly host: string; readonly casKeyHash: string },
): Promise<string | undefined> {
  const request = { address: formatCasAddress({ host, port: CAS_POD_PORTS.client }), name, casKeyHash };
  const { namespace, pod } = settings.operator;
  const statement = await cluster.requestToken(namespace, OPERATOR_NAME, {
    audiences: [backupAudience(primary.keyHash, request)],
    expirationSeconds: STATEMENT_SECONDS,
    boundObjectRef: { apiVersion: "v1", kind: "Pod", name: pod },
  });
  try {
    await client.enrolBackup(request, statement);
    return undefined;
  } catch (error) {
    if (error instanceof CasProblemError || error instanceof ProtocolError) return error.message;
    throw error;
  }
}
