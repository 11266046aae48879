import { z } from "zod";
import type { Cluster } from "../cluster/cluster.ts";
import type { CasResource } from "../custom-resources/resources.ts";
import type { CasPlace } from "../objects/node-platform.ts";

const ENFORCED = "pod-security.kubernetes.io/enforce";
const Namespace = z.object({ metadata: z.object({ labels: z.record(z.string(), z.string()).default({}) }) });

/** What Pod Security allows in the namespace of a CAS; asked only where it matters. A namespace without the label is taken to allow everything. */
export async function readPlace(cluster: Cluster, { metadata, spec }: CasResource): Promise<CasPlace> {
  if (!spec["backup-controller"].enabled) return { allowsNodeDirectories: false };
  const name = metadata.namespace ?? "default";
  const found = Namespace.parse((await cluster.find({ apiVersion: "v1", kind: "Namespace", metadata: { name } })) ?? { metadata: {} });
  return { allowsNodeDirectories: (found.metadata.labels[ENFORCED] ?? "privileged") === "privileged" };
}
