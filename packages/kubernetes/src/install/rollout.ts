import { z } from "zod";

const Counts = z.object({
  metadata: z.object({ generation: z.number() }),
  spec: z.object({ replicas: z.number().default(1) }).prefault({}),
  status: z
    .object({
      observedGeneration: z.number().default(0),
      replicas: z.number().default(0),
      updatedReplicas: z.number().default(0),
      availableReplicas: z.number().default(0),
      desiredNumberScheduled: z.number().default(0),
      updatedNumberScheduled: z.number().default(0),
      numberAvailable: z.number().default(0),
    })
    .prefault({}),
});

/** What is missing until every pod of a Deployment has the present template and is available; undefined: nothing. */
export function deploymentProblem(found: unknown): string | undefined {
  const parsed = Counts.safeParse(found);
  if (!parsed.success) return "it does not exist yet";
  const { metadata, spec, status } = parsed.data;
  if (status.observedGeneration < metadata.generation) return "the cluster has not taken note of it yet";
  if (status.updatedReplicas < spec.replicas) return `${status.updatedReplicas} of ${spec.replicas} pods are of the new kind`;
  if (status.replicas > status.updatedReplicas) return `${status.replicas - status.updatedReplicas} pods of the former kind still run`;
  if (status.availableReplicas < status.updatedReplicas) return `${status.availableReplicas} of ${spec.replicas} pods are available`;
  return undefined;
}

/** The same of a DaemonSet. */
export function daemonSetProblem(found: unknown): string | undefined {
  const parsed = Counts.safeParse(found);
  if (!parsed.success) return "it does not exist yet";
  const { metadata, status } = parsed.data;
  const { desiredNumberScheduled: desired } = status;
  if (status.observedGeneration < metadata.generation) return "the cluster has not taken note of it yet";
  if (status.updatedNumberScheduled < desired) return `${status.updatedNumberScheduled} of ${desired} pods are of the new kind`;
  if (status.numberAvailable < desired) return `${status.numberAvailable} of ${desired} pods are available`;
  return undefined;
}
