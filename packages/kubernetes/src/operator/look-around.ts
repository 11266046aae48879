import { lookup } from "node:dns/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";

const API_NAME = "kubernetes.default.svc";

/** What a pod of the platform sees from inside the cluster; `vouchsafe doctor --cluster` asks for it. */
export const Surroundings = z.object({
  time: z.string(),
  /** The name that every cluster resolves, and its address or why there is none. */
  dns: z.object({ name: z.string(), address: z.string().optional(), problem: z.string().optional() }),
});
export type Surroundings = z.infer<typeof Surroundings>;

/** A resolver without an answer may try for half a minute; whoever asks the operator waits less. */
const ANSWER_MS = 4_000;

/** Says within a few seconds what this pod sees. */
export async function lookAround(
  now: Date,
  { resolve = lookup, answerMs = ANSWER_MS }: { resolve?: (name: string) => Promise<{ address: string }>; answerMs?: number } = {},
): Promise<Surroundings> {
  const name = API_NAME;
  const dns = await Promise.race([
    resolve(name).then(
      ({ address }) => ({ name, address }),
      (error: unknown) => ({ name, problem: error instanceof Error ? error.message : String(error) }),
    ),
    sleep(answerMs, { name, problem: `no answer within ${answerMs / 1000} s` }, { ref: false }),
  ]);
  return { time: now.toISOString(), dns };
}
