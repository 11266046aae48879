import { z } from "zod";
import type { Cluster } from "../cluster/cluster.ts";
import { LasResource } from "../custom-resources/resources.ts";
import { NODE_LABELS } from "../objects/las-objects.ts";

const LabelledNode = z.object({ metadata: z.object({ name: z.string(), labels: z.record(z.string(), z.string()).default({}) }) });

/**
 * CL-65: charts select nodes by these labels; a node whose agent is away loses them. `las` is the resource just looked at with its ready nodes;
 * for all others their status counts, so that several can share a cluster, and the last one that is removed takes the labels with it.
 */
export async function labelNodes(cluster: Cluster, las: string, readyNodes: readonly string[]): Promise<void> {
  const ready = new Set(readyNodes);
  for (const item of await cluster.list({ apiVersion: "base.scone.cloud/v1beta1", kind: "LAS" })) {
    const other = LasResource.parse(item);
    if (other.metadata.name === las) continue;
    for (const [node, status] of Object.entries(other.status.nodes)) if (status["ready"] === true) ready.add(node);
  }
  const nodes = (await cluster.list({ apiVersion: "v1", kind: "Node" })).map((node) => LabelledNode.parse(node));
  for (const { metadata } of nodes) {
    const isReady = ready.has(metadata.name);
    const isLabelled = Object.entries(NODE_LABELS).every(([label, value]) => metadata.labels[label] === value);
    const hasAny = Object.keys(NODE_LABELS).some((label) => metadata.labels[label] !== undefined);
    if (isReady ? isLabelled : !hasAny) continue;
    const labels = isReady ? NODE_LABELS : Object.fromEntries(Object.keys(NODE_LABELS).map((label) => [label, null]));
    await cluster.merge({ apiVersion: "v1", kind: "Node", metadata: { name: metadata.name } }, { metadata: { labels } });
  }
}
