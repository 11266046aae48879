import { z } from "zod";
import type { Cluster } from "../cluster/cluster.ts";
import type { PlatformObject } from "../objects/platform-object.ts";
import { type Patience, untilTrue } from "./until-true.ts";

const Condition = z.object({ type: z.string(), status: z.string() });
const Definition = z.object({
  spec: z.object({
    group: z.string(),
    names: z.object({ plural: z.string() }),
    versions: z.array(z.object({ name: z.string(), served: z.boolean() })),
  }),
  /** A definition that nobody has looked at yet has the conditions null. */
  status: z.object({ conditions: z.array(Condition).nullish() }).optional(),
});
const PACE = { intervalMs: 100, now: Date.now };

/**
 * Installs or updates definitions of resources, and returns when the resources are served: the API server says that a definition is established a
 * moment before it answers for it. Throws E-CLUSTER.
 */
export async function installDefinitions(cluster: Cluster, definitions: readonly PlatformObject[], patience: Patience): Promise<void> {
  for (const definition of definitions) await cluster.apply(definition);
  for (const definition of definitions) {
    await untilTrue(`the definition ${definition.metadata.name} did not become ready`, { pace: PACE, ...patience }, async () => {
      const { spec, status } = Definition.parse(await cluster.find(definition));
      if (!status?.conditions?.some((condition) => condition.type === "Established" && condition.status === "True"))
        return "it is not served yet";
      for (const { name } of spec.versions.filter(({ served }) => served)) {
        await cluster.read(`/apis/${spec.group}/${name}/${spec.names.plural}?limit=1`);
      }
      return undefined;
    });
  }
}
