import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { ProcessIdentity } from "./process-identity.ts";

/** Where a container stands. `backoff`: it ended and is started again soon; `ended`: it is not. */
export const INSTANCE_STATES = ["waiting", "starting", "running", "ready", "backoff", "ended"] as const;

export const InstanceStatus = z.strictObject({
  name: z.string(),
  service: z.string(),
  address: z.string(),
  state: z.enum(INSTANCE_STATES),
  restarts: z.int().min(0),
  /** Status of the last end: 128 and more for signals. */
  lastExit: z.int().nullable(),
  /** Why it is where it is, where that needs words. */
  reason: z.string().optional(),
  /** RFC 3339. */
  since: z.string(),
});
export type InstanceStatus = z.infer<typeof InstanceStatus>;

const PublishedPort = z.strictObject({ service: z.string(), port: z.int(), address: z.string() });
export type PublishedPort = z.infer<typeof PublishedPort>;

/** `status.json`: what the engine of one application says about it. No secret in it. */
export const EngineStatus = z.strictObject({
  format: z.literal(1),
  release: z.string(),
  namespace: z.string(),
  targetDir: z.string(),
  /** Kinds of evidence that its policies accept, in words. */
  evidence: z.string(),
  engine: ProcessIdentity,
  /** Process 1 of the mesh, once it is there. */
  meshHost: ProcessIdentity.optional(),
  /** Directory of the sockets. */
  runDir: z.string().optional(),
  startedAt: z.string(),
  phase: z.enum(["unpacking", "starting", "up", "stopping", "failed"]),
  failure: z.strictObject({ code: z.string(), message: z.string(), remedy: z.string().optional() }).optional(),
  published: z.array(PublishedPort),
  instances: z.array(InstanceStatus),
});
export type EngineStatus = z.infer<typeof EngineStatus>;

/** Undefined where there is none, or none that can be read: a crash between two writes leaves the older one whole. */
export function readEngineStatus(file: string): EngineStatus | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return undefined; // not started yet, or already gone
  }
  const parsed = EngineStatus.safeParse(JSON.parse(text));
  return parsed.success ? parsed.data : undefined;
}

export function writeEngineStatus(file: string, status: EngineStatus): void {
  writeFileSync(`${file}.new`, `${JSON.stringify(status, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
