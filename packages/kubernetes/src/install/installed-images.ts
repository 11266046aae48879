import { z } from "zod";
import type { Cluster } from "../cluster/cluster.ts";
import { OPERATOR_NAME } from "../objects/operator-rights.ts";

const Operator = z.object({
  spec: z.object({
    template: z.object({
      spec: z.object({
        containers: z
          .array(z.object({ image: z.string(), env: z.array(z.object({ name: z.string(), value: z.string().optional() })).default([]) }))
          .min(1),
      }),
    }),
  }),
});

/** Images of operator and node agents as they are installed; none where there is no operator. */
export async function findInstalledImages(cluster: Cluster, namespace: string): Promise<readonly string[]> {
  const found = await cluster.find({ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: OPERATOR_NAME, namespace } });
  const [container] = Operator.safeParse(found).data?.spec.template.spec.containers ?? [];
  if (container === undefined) return [];
  return [container.image, ...container.env.flatMap(({ name, value }) => (name === "VOUCHSAFE_LAS_IMAGE" ? [value ?? ""] : []))];
}
