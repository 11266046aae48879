import { z } from "zod";
import type { Cluster } from "../cluster/cluster.ts";
import type { SgxPluginResource } from "../custom-resources/resources.ts";
import { DEVICE_RESOURCES } from "../objects/platform-object.ts";
import { condition, fieldsHonoured, mergeConditions } from "./conditions.ts";

const Node = z.object({
  metadata: z.object({ name: z.string(), labels: z.record(z.string(), z.string()).default({}) }),
  status: z.object({
    capacity: z.record(z.string(), z.string()).default({}),
    conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]),
  }),
});
const PodRequests = z.object({
  spec: z.object({
    nodeName: z.string().optional(),
    containers: z.array(z.object({ resources: z.object({ limits: z.record(z.string(), z.string()).default({}) }).prefault({}) })),
  }),
  status: z.object({ phase: z.string().default("") }).prefault({}),
});

/**
 * Offers the devices on every selected node, as node resources that the scheduler counts: charts that request one can be scheduled whatever the
 * node's TEE is. Device files of real enclaves are the concern of the vendor's own plugin, which takes the resource over where it runs.
 */
export async function offerDevices(cluster: Cluster, plugin: SgxPluginResource, now: Date): Promise<Readonly<Record<string, unknown>>> {
  const wanted = String(plugin.spec.devicesPerNode);
  const selector = Object.entries(plugin.spec.nodeSelector ?? {});
  const nodes = (await cluster.list({ apiVersion: "v1", kind: "Node" }))
    .map((node) => Node.parse(node))
    .filter(({ metadata }) => selector.every(([label, value]) => metadata.labels[label] === value));
  for (const { metadata, status } of nodes) {
    const missing = DEVICE_RESOURCES.filter((resource) => status.capacity[resource] !== wanted);
    if (missing.length === 0) continue;
    const operations = missing.map((resource) => ({
      op: "add",
      path: `/status/capacity/${resource.replaceAll("/", "~1")}`,
      value: wanted,
    }));
    await cluster.patchNodeStatus(metadata.name, operations);
  }
  const used = await countUsed(cluster);
  const ready = nodes.filter(({ status }) => status.conditions.some(({ type, status: holds }) => type === "Ready" && holds === "True"));
  const isServing = nodes.length > 0;
  const perNode = (count: (node: string) => number) =>
    Object.fromEntries(nodes.map(({ metadata }) => [metadata.name, count(metadata.name)]));
  const total = (counts: Readonly<Record<string, number>>) => Object.values(counts).reduce((sum, count) => sum + count, 0);
  const capacity = perNode(() => plugin.spec.devicesPerNode);
  const taken = perNode((node) => used.get(node) ?? 0);
  const available = perNode((node) => plugin.spec.devicesPerNode - (used.get(node) ?? 0));
  const message = isServing ? `${nodes.length} nodes offer ${wanted} devices each` : "no node matches spec.nodeSelector";
  return {
    state: isServing ? "HEALTHY" : "UNHEALTHY",
    servingReplicas: nodes.length,
    servingReplicaRatio: `${nodes.length}/${nodes.length}`,
    healthyServingReplicas: ready.length,
    desiredReplicas: nodes.length,
    readyReplicas: ready.length,
    capacitySGXDevices: total(capacity),
    usedSGXDevices: total(taken),
    availableSGXDevices: total(available),
    capacitySGXDevicesPerNode: capacity,
    usedSGXDevicesPerNode: taken,
    availableSGXDevicesPerNode: available,
    sgxDeviceAlert: Object.values(available).filter((count) => count <= 0).length,
    sgxReplicaAlert: 0,
    conditions: mergeConditions(
      plugin.status.conditions,
      [
        condition("Serving", isServing, isServing ? "Serving" : "NoNodes", message),
        fieldsHonoured([
          plugin.spec.autoUpdate ? "autoUpdate (there is no program of its own; sconectl init updates the operator)" : undefined,
        ]),
      ],
      now,
    ),
    observedGeneration: plugin.metadata.generation,
  };
}

/** The last resource was removed: nodes offer nothing any more. Others that are left will say themselves what they want. */
export async function withdrawDevices(cluster: Cluster): Promise<void> {
  if ((await cluster.list({ apiVersion: "base.scone.cloud/v1beta1", kind: "SGXPlugin" })).length > 0) return;
  for (const { metadata, status } of (await cluster.list({ apiVersion: "v1", kind: "Node" })).map((node) => Node.parse(node))) {
    const offered = DEVICE_RESOURCES.filter((resource) => status.capacity[resource] !== undefined);
    if (offered.length === 0) continue;
    const operations = offered.map((resource) => ({ op: "remove", path: `/status/capacity/${resource.replaceAll("/", "~1")}` }));
    await cluster.patchNodeStatus(metadata.name, operations);
  }
}

/** Devices requested by pods that have not ended, by node. */
async function countUsed(cluster: Cluster): Promise<ReadonlyMap<string, number>> {
  const used = new Map<string, number>();
  for (const item of await cluster.list({ apiVersion: "v1", kind: "Pod" })) {
    const pod = PodRequests.safeParse(item).data;
    if (pod?.spec.nodeName === undefined || pod.status.phase === "Succeeded" || pod.status.phase === "Failed") continue;
    for (const { resources } of pod.spec.containers) {
      const count = Number(resources.limits[DEVICE_RESOURCES[0]] ?? resources.limits[DEVICE_RESOURCES[1]] ?? 0);
      if (Number.isInteger(count)) used.set(pod.spec.nodeName, (used.get(pod.spec.nodeName) ?? 0) + count);
    }
  }
  return used;
}
