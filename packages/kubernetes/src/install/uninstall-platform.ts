import { z } from "zod";
import type { Cluster, Header } from "../cluster/cluster.ts";
import { KubernetesError } from "../kubernetes-error.ts";
import { AGENT_RECORD_LABEL } from "../objects/agent-rights.ts";
import { type PlatformSettings, planPlatform } from "../objects/operator-objects.ts";
import { OPERATOR_NAME } from "../objects/operator-rights.ts";
import { componentSelector } from "../objects/platform-object.ts";
import { labelNodes } from "../operator/node-labels.ts";
import { withdrawDevices } from "../operator/sgx-plugin.ts";
import { type Patience, untilTrue } from "./until-true.ts";

export interface UninstallOptions extends Patience {
  /** Every CAS of the cluster goes too. */
  readonly removesCas: boolean;
  /** The volumes of those CAS go too, and with them every policy and secret. */
  readonly removesVolumes: boolean;
}

const Named = z.object({ metadata: z.object({ name: z.string(), namespace: z.string().optional() }) });
const CAS_KIND = { apiVersion: "services.scone.cloud/v1beta1", kind: "CAS" } as const;
const CUSTOM_KINDS: readonly Pick<Header, "apiVersion" | "kind">[] = [
  { apiVersion: "base.scone.cloud/v1beta1", kind: "LAS" },
  { apiVersion: "base.scone.cloud/v1beta1", kind: "SGXPlugin" },
  CAS_KIND,
];
/** What the operator makes for its resources. The cluster's garbage collector removes them, each in its own time, when their owner is gone. */
const OWNED_KINDS: readonly Pick<Header, "apiVersion" | "kind">[] = [
  { apiVersion: "apps/v1", kind: "StatefulSet" },
  { apiVersion: "apps/v1", kind: "DaemonSet" },
  { apiVersion: "batch/v1", kind: "Job" },
  { apiVersion: "v1", kind: "Pod" },
  { apiVersion: "v1", kind: "Service" },
  { apiVersion: "v1", kind: "ConfigMap" },
  { apiVersion: "v1", kind: "ServiceAccount" },
  { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy" },
];
const NODE_WIDE = ["Namespace", "CustomResourceDefinition", ...CUSTOM_KINDS.map(({ kind }) => kind)];

/**
 * Removes what `installPlatform` made: operator, agents, rights, definitions, labels and devices of nodes. The namespace stays, since it may hold
 * things of others, and so do volumes unless they are asked for. Again, or after an interruption, it removes what is left. Throws E-CAS-PRESENT
 * while there is a CAS that is not to be removed: without the definitions it would end.
 */
export async function uninstallPlatform(cluster: Cluster, settings: PlatformSettings, options: UninstallOptions): Promise<void> {
  const { log } = options;
  const everyCas = await names(cluster, CAS_KIND);
  const [first] = everyCas;
  if (first !== undefined && !options.removesCas) {
    const list = everyCas.map(({ name, namespace }) => `${name} in ${namespace}`).join(", ");
    throw new KubernetesError("E-CAS-PRESENT", `the cluster still has a CAS, which would end with the platform: ${list}`, {
      remedy: `Remove it (kubectl delete cas ${first.name} -n ${first.namespace}), or say --with-cas; its volumes stay.`,
    });
  }
  const objects = planPlatform(settings).toReversed();
  // The operator first: it would write again what is removed below.
  for (const object of objects.filter(({ kind }) => !NODE_WIDE.includes(kind))) {
    await cluster.remove(object);
    log(`removed ${object.kind} ${object.metadata.name}`);
  }
  await untilAreGone(cluster, settings.namespace, componentSelector("operator", OPERATOR_NAME), options);
  for (const kind of CUSTOM_KINDS) {
    for (const metadata of await names(cluster, kind)) {
      await cluster.remove({ ...kind, metadata });
      log(`removed ${kind.kind} ${metadata.name}`);
    }
  }
  for (const { name, namespace } of everyCas) {
    await untilAreGone(cluster, namespace ?? "default", componentSelector("cas", name), options);
    if (options.removesVolumes) await removeVolumes(cluster, name, namespace ?? "default", log);
  }
  await untilAreGone(cluster, settings.namespace, { "app.kubernetes.io/name": "las" }, options);
  await labelNodes(cluster, "", []);
  await withdrawDevices(cluster);
  await removeLabelled(cluster, "ConfigMap", settings.namespace, { [AGENT_RECORD_LABEL]: "true" });
  await cluster.remove({
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name: OPERATOR_NAME, namespace: settings.namespace },
  });
  for (const object of objects.filter(({ kind }) => kind === "CustomResourceDefinition")) {
    await cluster.remove(object);
    await untilTrue(`the definition ${object.metadata.name} stays`, options, async () =>
      (await cluster.find(object)) === undefined ? undefined : "resources of its kind are still being removed",
    );
    log(`removed ${object.kind} ${object.metadata.name}`);
  }
}

async function names(cluster: Cluster, kind: Pick<Header, "apiVersion" | "kind">): Promise<readonly Header["metadata"][]> {
  return (await cluster.list(kind)).map((found) => {
    const { name, namespace } = Named.parse(found).metadata;
    return { name, ...(namespace === undefined ? {} : { namespace }) };
  });
}

const selector = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .map(([label, value]) => `${label}=${value}`)
    .join(",");

async function untilAreGone(
  cluster: Cluster,
  namespace: string,
  labels: Readonly<Record<string, string>>,
  options: UninstallOptions,
): Promise<void> {
  await untilTrue(`something of the platform in ${namespace} stays`, options, async () => {
    for (const kind of OWNED_KINDS) {
      const [left] = await cluster.list({ ...kind, namespace }, selector(labels));
      if (left !== undefined) return `${kind.kind} ${Named.parse(left).metadata.name} is still there`;
    }
    return undefined;
  });
}

async function removeVolumes(cluster: Cluster, cas: string, namespace: string, log: (line: string) => void): Promise<void> {
  for (const name of await removeLabelled(cluster, "PersistentVolumeClaim", namespace, componentSelector("cas", cas)))
    log(`removed the volume ${name} in ${namespace}`);
}

async function removeLabelled(
  cluster: Cluster,
  kind: "ConfigMap" | "PersistentVolumeClaim",
  namespace: string,
  labels: Readonly<Record<string, string>>,
): Promise<readonly string[]> {
  const found = (await cluster.list({ apiVersion: "v1", kind, namespace }, selector(labels))).map(
    (item) => Named.parse(item).metadata.name,
  );
  for (const name of found) await cluster.remove({ apiVersion: "v1", kind, metadata: { name, namespace } });
  return found;
}
