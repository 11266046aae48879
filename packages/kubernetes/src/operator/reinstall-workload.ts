import { z } from "zod";
import type { Cluster } from "../cluster/cluster.ts";
import type { CasResource } from "../custom-resources/resources.ts";
import type { PlatformObject } from "../objects/platform-object.ts";

/** What stands between the wish of a resource and the cluster. */
export interface Obstacle {
  readonly reason: "Refused" | "Reinstalling";
  readonly message: string;
}

const DATABASE = "database";
const StatefulSet = z.object({
  metadata: z.object({ name: z.string(), uid: z.string().default(""), deletionTimestamp: z.string().optional() }),
  spec: z.object({
    volumeClaimTemplates: z.array(z.object({ metadata: z.object({ name: z.string() }) })).default([]),
    persistentVolumeClaimRetentionPolicy: z.object({ whenDeleted: z.string().default("Retain") }).prefault({}),
  }),
});
type StatefulSet = z.infer<typeof StatefulSet>;

/**
 * After the cluster refused to change the StatefulSet of a CAS, which has fields that never change (CL 10.1, `reinstallOnFatal`): takes it away without its
 * pod, so that it can be made anew. The pod serves on, the new StatefulSet takes it over, and replaces it as after every change. Claims of volumes stay, and
 * so do the platform keys, which lie on them or on the nodes. Not where the database lies, or would lie, in the pod alone.
 */
export async function reinstallWorkload(
  cluster: Cluster,
  cas: CasResource,
  planned: readonly PlatformObject[],
  refusal: string,
): Promise<Obstacle> {
  const header = planned.find(({ kind }) => kind === "StatefulSet");
  const present = StatefulSet.safeParse(header === undefined ? undefined : await cluster.find(header)).data;
  const { name, namespace = "default" } = cas.metadata;
  if (header === undefined || present === undefined) return { reason: "Refused", message: refusal };
  if (present.metadata.deletionTimestamp !== undefined) return reinstalling(name);
  if (!cas.spec.reinstallOnFatal) {
    const byHand = `kubectl delete statefulset ${name} -n ${namespace} --cascade=orphan`;
    return { reason: "Refused", message: `${refusal}; to have it made anew: spec.reinstallOnFatal, or: ${byHand}` };
  }
  const danger = dangerOf(present, StatefulSet.parse(header));
  if (danger !== undefined) return { reason: "Refused", message: `${refusal}; it is not reinstalled: ${danger}` };
  await cluster.orphan(header, present.metadata.uid);
  return reinstalling(name);
}

const reinstalling = (name: string): Obstacle => ({
  reason: "Reinstalling",
  message: `the StatefulSet ${name} is made anew, since the cluster does not change it; its volumes stay`,
});

/** Why the database would not be there afterwards; undefined where it is. */
function dangerOf(present: StatefulSet, planned: StatefulSet): string | undefined {
  const hasClaim = ({ spec }: StatefulSet) => spec.volumeClaimTemplates.some(({ metadata }) => metadata.name === DATABASE);
  if (!hasClaim(present)) return "its database has no volume, and would be lost with its pod";
  if (!hasClaim(planned)) return "it would start without the volume that holds its database (spec.persistence.enabled)";
  if (present.spec.persistentVolumeClaimRetentionPolicy.whenDeleted !== "Retain") return "its volumes would be deleted with it";
  return undefined;
}
