import { z } from "zod";
import type { Cluster } from "../cluster/cluster.ts";
import type { LasResource } from "../custom-resources/resources.ts";
import { AgentIdentity } from "../las/agent-server.ts";
import { askAgentIdentity } from "../las/ask-agent.ts";
import { AGENT_RECORD_LABEL } from "../objects/agent-rights.ts";
import { componentSelector } from "../objects/platform-object.ts";
import type { AgentSeen } from "./judge-las.ts";
import { judgePod, Pod } from "./pod-health.ts";

const DaemonSetStatus = z.object({ status: z.object({ desiredNumberScheduled: z.number().default(0) }).prefault({}) });
const AgentRecord = z.object({ data: z.object({ node: z.string(), identity: z.string().max(16_384) }) });

/** Every agent of a LAS: its pod, what it answers on its port, and the key that the cluster's API shows for its node. */
export async function lookAtAgents(
  cluster: Cluster,
  las: LasResource,
): Promise<{ readonly desired: number; readonly agents: readonly AgentSeen[] }> {
  const { namespace } = las.spec;
  const selector = Object.entries(componentSelector("las", las.metadata.name)).map(([label, value]) => `${label}=${value}`);
  const pods = (await cluster.list({ apiVersion: "v1", kind: "Pod", namespace }, selector.join(","))).map((pod) => Pod.parse(pod));
  const published = await publishedKeys(cluster, namespace);
  // While an agent is being replaced its node has two pods: the one that goes no longer counts.
  const present = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const agents = await Promise.all(
    present.map(async (pod): Promise<AgentSeen> => {
      const node = pod.spec.nodeName ?? pod.metadata.name;
      const host = pod.status.hostIP;
      const answer = host === undefined ? undefined : await askAgentIdentity(host, las.spec.port);
      return { node, pod: judgePod(pod), answer, publishedKey: published.get(node) };
    }),
  );
  const daemonSet = { apiVersion: "apps/v1", kind: "DaemonSet", metadata: { name: `${las.metadata.name}-agent`, namespace } };
  const { status } = DaemonSetStatus.parse(await cluster.find(daemonSet));
  return { desired: status.desiredNumberScheduled, agents };
}

async function publishedKeys(cluster: Cluster, namespace: string): Promise<ReadonlyMap<string, string>> {
  const keys = new Map<string, string>();
  for (const record of await cluster.list({ apiVersion: "v1", kind: "ConfigMap", namespace }, `${AGENT_RECORD_LABEL}=true`)) {
    const parsed = AgentRecord.safeParse(record);
    const identity = parsed.success ? AgentIdentity.safeParse(parseJson(parsed.data.data.identity)) : undefined;
    if (parsed.success && identity?.success === true) keys.set(parsed.data.data.node, identity.data.publicKey);
  }
  return keys;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // an agent of another version: its record counts as absent
  }
}
