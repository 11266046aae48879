import { z } from "zod";
import { type Cluster, ClusterError } from "../cluster/cluster.ts";
import { type PlatformSettings, planPlatform } from "../objects/operator-objects.ts";
import type { PlatformObject } from "../objects/platform-object.ts";
import { installDefinitions } from "./install-definitions.ts";
import { daemonSetProblem, deploymentProblem } from "./rollout.ts";
import { type Patience, untilTrue } from "./until-true.ts";

export interface InstallOptions extends Patience {
  /** Return only when the operator runs and every node's agent answers. */
  readonly isWaiting: boolean;
}

const WithState = z.object({
  metadata: z.object({ generation: z.number() }),
  status: z
    .object({
      state: z.string().default("PENDING"),
      observedGeneration: z.number().default(0),
      conditions: z.array(z.object({ message: z.string() })).default([]),
    })
    .prefault({}),
});
const Template = z.object({
  spec: z.object({ template: z.object({ spec: z.object({ containers: z.array(z.object({ image: z.string() })).min(1) }) }) }),
});

const PodStates = z.object({
  metadata: z.object({ name: z.string(), deletionTimestamp: z.string().optional() }),
  status: z
    .object({
      phase: z.string().optional(),
      conditions: z.array(z.object({ type: z.string(), status: z.string() })).optional(),
      containerStatuses: z
        .array(
          z.object({ ready: z.boolean(), state: z.object({ waiting: z.object({ reason: z.string().optional() }).optional() }).optional() }),
        )
        .optional(),
    })
    .optional(),
});

/** Installs or updates the cluster side (`sconectl init`). Repeating it is harmless. Throws E-CLUSTER with what did not become ready. */
export async function installPlatform(cluster: Cluster, settings: PlatformSettings, options: InstallOptions): Promise<void> {
  const objects = planPlatform(settings);
  const definitions = objects.filter(({ kind }) => kind === "CustomResourceDefinition");
  await installDefinitions(cluster, definitions, options);
  for (const object of objects.filter(({ kind }) => kind !== "CustomResourceDefinition")) {
    await cluster.apply(object);
    options.log(`applied ${object.kind} ${object.metadata.name}`);
  }
  if (!options.isWaiting) return;
  const patient = { ...options, findMark: () => podStates(cluster, settings.namespace) };
  // In this order: what the resources say is worth something once it was written by the operator that was just applied, about its agents.
  for (const object of objects.filter(({ kind }) => kind === "Deployment")) {
    await untilTrue(`the ${object.kind} ${object.metadata.name} did not become ready`, patient, async () =>
      deploymentProblem(await cluster.find(object)),
    );
  }
  for (const object of objects.filter(({ kind }) => kind === "LAS")) await untilAgentsRun(cluster, object, settings, patient);
  for (const object of objects.filter(({ kind }) => kind === "LAS" || kind === "SGXPlugin")) await untilHealthy(cluster, object, patient);
}

async function untilAgentsRun(cluster: Cluster, las: PlatformObject, settings: PlatformSettings, options: InstallOptions): Promise<void> {
  const metadata = { name: `${las.metadata.name}-agent`, namespace: settings.namespace };
  await untilTrue(`the DaemonSet ${metadata.name} did not become ready`, options, async () => {
    const found = await cluster.find({ apiVersion: "apps/v1", kind: "DaemonSet", metadata });
    const image = Template.safeParse(found).data?.spec.template.spec.containers[0]?.image;
    if (image !== undefined && image !== settings.images.las) return `it still has the image ${image}`;
    return daemonSetProblem(found);
  });
}

async function untilHealthy(cluster: Cluster, object: PlatformObject, options: InstallOptions): Promise<void> {
  await untilTrue(`${object.kind} ${object.metadata.name} did not become ready`, options, async () => {
    const { metadata, status } = WithState.parse(await cluster.find(object));
    if (status.observedGeneration < metadata.generation) return "the operator has not looked at it yet";
    if (status.state === "HEALTHY") return undefined;
    return status.conditions[0]?.message ?? "the operator has not looked at it yet";
  });
  options.log(`${object.kind} ${object.metadata.name} is HEALTHY`);
}

/** What the cluster says of the platform's pods: on a busy machine an agent that starts shows that it gets on. */
async function podStates(cluster: Cluster, namespace: string): Promise<string> {
  try {
    return (await cluster.list({ apiVersion: "v1", kind: "Pod", namespace })).map((pod) => JSON.stringify(PodStates.parse(pod))).join("\n");
  } catch (error) {
    if (error instanceof ClusterError && error.status === 403) return "";
    throw error;
  }
}
