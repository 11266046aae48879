import { lookup } from "node:dns/promises";
import { z } from "zod";

const API_NAME = "kubernetes.default.svc";

/** What a pod of the platform sees from inside the cluster; `vouchsafe doctor --cluster` asks for it. */
export const Surroundings = z.object({
  time: z.string(),
  /** The name that every cluster resolves, and its address or why there is none. */
  dns: z.object({ name: z.string(), address: z.string().optional(), problem: z.string().optional() }),
});
export type Surroundings = z.infer<typeof Surroundings>;

export async function lookAround(now: Date): Promise<Surroundings> {
  const name = API_NAME;
  try {
    return { time: now.toISOString(), dns: { name, address: (await lookup(name)).address } };
  } catch (error) {
    return { time: now.toISOString(), dns: { name, problem: error instanceof Error ? error.message : String(error) } };
  }
}
