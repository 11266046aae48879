import type { CasStatement } from "@vouchsafe/protocol";
import { z } from "zod";
import type { BackupRecord, CasResource } from "../custom-resources/resources.ts";

/** A node of the cluster, as far as it matters whether a CAS may move there. */
export const BackupNode = z
  .object({
    metadata: z.object({ name: z.string(), uid: z.string().default(""), labels: z.record(z.string(), z.string()).default({}) }),
    spec: z
      .object({
        unschedulable: z.boolean().default(false),
        taints: z.array(z.object({ key: z.string(), value: z.string().default(""), effect: z.string() })).default([]),
      })
      .prefault({}),
    status: z
      .object({
        conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]),
        nodeInfo: z
          .object({ bootID: z.string().default(""), machineID: z.string().default(""), systemUUID: z.string().default("") })
          .prefault({}),
      })
      .prefault({}),
  })
  .transform(({ metadata, spec, status }) => ({
    name: metadata.name,
    labels: metadata.labels,
    taints: spec.unschedulable ? [...spec.taints, UNSCHEDULABLE] : spec.taints,
    isReady: status.conditions.some(({ type, status: holds }) => type === "Ready" && holds === "True"),
    bootID: status.nodeInfo.bootID,
    /** Which machine it is: the platform key of another one is another key, whatever the node is called. */
    machine: [metadata.uid, status.nodeInfo.machineID, status.nodeInfo.systemUUID].join("/"),
  }));
export type BackupNode = z.infer<typeof BackupNode>;

const UNSCHEDULABLE = { key: "node.kubernetes.io/unschedulable", value: "", effect: "NoSchedule" };

/** Which nodes can open the database, and which must show themselves. */
export interface BackupPlan {
  /** Nodes to which the CAS could be scheduled. */
  readonly desired: readonly string[];
  /** Those of them whose registration holds. */
  readonly able: readonly string[];
  /** Those that have none, or a void one. */
  readonly missing: readonly BackupNode[];
  /** Records of nodes that the cluster no longer has. */
  readonly gone: readonly string[];
}

/**
 * What the registrations of a CAS are worth now (C-75). One holds as long as its node is the same machine since the same boot, the CAS still names its
 * key, and the CAS still has the version that registered it: a newer one takes newer software on the other nodes too.
 */
export function judgeBackups(cas: CasResource, nodes: readonly BackupNode[], statement: CasStatement): BackupPlan {
  const records = new Map(Object.entries(cas.status.backups));
  const candidates = nodes.filter((node) => mayRunOn(cas, node));
  const holds = (node: BackupNode): boolean => {
    const record = records.get(node.name);
    return record !== undefined && isOf(record, node) && record.version === statement.version && canOpen(statement, record.instanceKey);
  };
  return {
    desired: candidates.map(({ name }) => name),
    able: candidates.filter(holds).map(({ name }) => name),
    // A node that is away keeps what it has: it is looked at when it is back.
    missing: candidates.filter((node) => node.isReady && !holds(node)),
    gone: [...records.keys()].filter((name) => !nodes.some((node) => node.name === name)),
  };
}

/** Does this platform open the database: as a backup, or because the CAS runs on it? */
export const canOpen = ({ instanceKey, backups = [] }: CasStatement, platform: string): boolean =>
  platform === instanceKey || backups.includes(platform);

const isOf = ({ bootID, machine }: BackupRecord, node: BackupNode): boolean => bootID === node.bootID && machine === node.machine;

const Toleration = z.object({
  key: z.string().default(""),
  operator: z.enum(["Equal", "Exists"]).default("Equal"),
  value: z.string().default(""),
  effect: z.string().default(""),
});

/** As the scheduler decides it: the node's labels, and taints that keep pods away. That a node is not ready is a taint that passes. */
function mayRunOn({ spec }: CasResource, node: BackupNode): boolean {
  const tolerations = (spec.tolerations ?? []).map((toleration) => Toleration.parse(toleration));
  const isTolerated = ({ key, value, effect }: BackupNode["taints"][number]): boolean =>
    tolerations.some(
      (each) =>
        (each.effect === "" || each.effect === effect) &&
        ((each.key === "" && each.operator === "Exists") || (each.key === key && (each.operator === "Exists" || each.value === value))),
    );
  const isSelected = Object.entries(spec.nodeSelector ?? {}).every(([label, value]) => node.labels[label] === value);
  const keepsAway = node.taints.filter(({ key, effect }) => effect !== "PreferNoSchedule" && !PASSING_TAINTS.has(key));
  return isSelected && keepsAway.every(isTolerated);
}
const PASSING_TAINTS = new Set(["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]);
