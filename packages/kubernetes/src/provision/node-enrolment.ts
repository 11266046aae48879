import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { type Cluster, ClusterError } from "../cluster/cluster.ts";
import { LasResource } from "../custom-resources/resources.ts";
import { AGENT_ACCOUNT } from "../objects/agent-rights.ts";
import { PLATFORM_NAMESPACE } from "../objects/platform-object.ts";
import { readClusterIssuer } from "./cluster-issuer.ts";
import { type CasName, type ClientCredentials, casHeader, noteChange, withCasClient } from "./inspect-cas.ts";

const OPERATOR_TIMEOUT_MS = 30_000;
const LOOK_INTERVAL_MS = 1_000;

export interface EnrolmentOptions {
  readonly cas: CasName;
  readonly owner: ClientCredentials;
  /** Key hash of the CAS. */
  readonly pin: string;
  /** Whether the CAS shall believe the cluster about nodes that come later. */
  readonly allowsNodeEnrolment: boolean;
  readonly log: (line: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Tells the CAS whose word about node agents counts: evidence of kind `node` is worth something only when an enrolled agent signed it. The agents
 * that run now are enrolled by the owner; those of later nodes on the word of this cluster's API, unless the owner does not want that.
 */
export async function enrolNodes(cluster: Cluster, options: EnrolmentOptions): Promise<void> {
  const { cas, owner, pin, log } = options;
  const resources = await listLas(cluster);
  const agents = new Map(
    resources.flatMap(({ status }) =>
      Object.entries(status.nodes).flatMap(([node, { publicKey }]) => (publicKey === undefined ? [] : [[node, publicKey] as const])),
    ),
  );
  const namespace = platformNamespaceOf(resources);
  const issuer = await readClusterIssuer(cluster, namespace, AGENT_ACCOUNT);
  await withCasClient(cluster, cas, { pin, credentials: owner }, async (client) => {
    if (issuer !== undefined && options.allowsNodeEnrolment) {
      await client.putNodeIssuer(issuer);
      log(`the CAS believes this cluster (${issuer.issuer}) about the node agents in ${namespace}; not wanted: --no-node-enrolment`);
    } else if (issuer !== undefined) {
      await client.removeNodeIssuer(issuer.issuer);
      log("node agents of new nodes must be enrolled by the owner: run this again for each");
    } else {
      log("warning: this cluster does not let you read its token keys: run this again when there are new nodes");
    }
    await noteChange(cluster, cas);
    if (issuer !== undefined && options.allowsNodeEnrolment && (await isToldByOperator(cluster, options))) return;
    for (const [node, key] of agents) {
      await client.enrolNodeKey(Uint8Array.fromBase64(key));
      log(`enrolled the agent of node ${node}, until you remove it`);
    }
  });
  if (agents.size === 0 && (issuer === undefined || !options.allowsNodeEnrolment)) {
    log("no node agent is known yet: run this again when `kubectl get las` shows HEALTHY");
  }
}

const Enrolment = z.object({
  status: z.object({ conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]) }).prefault({}),
});

/**
 * Waits until the operator has carried the cluster's word to the CAS: then a node that is removed is forgotten by itself. Where that does not come, the
 * owner's own word has to do.
 */
async function isToldByOperator(cluster: Cluster, { cas, log, signal }: EnrolmentOptions): Promise<boolean> {
  for (const end = Date.now() + OPERATOR_TIMEOUT_MS; Date.now() < end; ) {
    const { status } = Enrolment.parse((await cluster.find(casHeader(cas))) ?? {});
    if (status.conditions.some(({ type, status: holds }) => type === "NodesEnrolled" && holds === "True")) return true;
    await sleep(LOOK_INTERVAL_MS, undefined, { signal });
  }
  log("warning: the operator has not told the CAS about the node agents yet");
  return false;
}

/** Where the platform is installed: its agents are there, and its operator. */
export const platformNamespaceOf = ([las]: readonly LasResource[]): string => las?.spec.namespace ?? PLATFORM_NAMESPACE;

/** None where the caller may not look. */
export async function listLas(cluster: Cluster): Promise<readonly LasResource[]> {
  try {
    return (await cluster.list({ apiVersion: "base.scone.cloud/v1beta1", kind: "LAS" })).map((found) => LasResource.parse(found));
  } catch (error) {
    if (error instanceof ClusterError && error.status === 403) return [];
    throw error;
  }
}
