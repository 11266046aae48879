import type { LasResource, State } from "../custom-resources/resources.ts";
import type { AgentIdentity } from "../las/agent-server.ts";
import { condition, fieldsHonoured, mergeConditions } from "./conditions.ts";
import type { PodHealth } from "./pod-health.ts";

/** What was seen of one node's agent. */
export interface AgentSeen {
  readonly node: string;
  readonly pod: PodHealth;
  /** What the agent answered on its port; undefined when it did not. */
  readonly answer: AgentIdentity | undefined;
  /** Key that the agent published through the cluster's API, base64. */
  readonly publishedKey: string | undefined;
}

/** Status of a LAS resource, and which nodes may be labelled as ready (CL-63, CL-65). */
export function judgeLas(
  las: LasResource,
  desired: number,
  agents: readonly AgentSeen[],
  now: Date,
): { readonly status: object & { readonly state: State }; readonly readyNodes: readonly string[] } {
  const nodes = agents.map((agent) => ({ agent, problem: findProblem(agent, las.spec.evidence) }));
  const ready = nodes.filter(({ problem }) => problem === undefined);
  const stuck = nodes.filter(({ agent, problem }) => agent.pod.state === "UNHEALTHY" || problem?.needsPerson === true);
  const isComplete = desired > 0 && ready.length === desired;
  const state: State = isComplete ? "HEALTHY" : stuck.length > 0 ? "UNHEALTHY" : "PENDING";
  const since = now.toISOString().replace(/\.\d+Z$/, "Z");
  const before = las.status.nodes;
  const entries = nodes.map(({ agent, problem }) => {
    const previous = before[agent.node];
    const isSame = previous !== undefined && previous["ready"] === (problem === undefined) && typeof previous["since"] === "string";
    return [
      agent.node,
      {
        ready: problem === undefined,
        evidence: agent.answer?.evidence ?? [],
        publicKey: agent.publishedKey ?? null,
        keyHash: agent.answer?.keyHash ?? null,
        message: problem?.message ?? null,
        since: isSame ? previous["since"] : since,
      },
    ];
  });
  const gone = Object.keys(before).filter((node) => !agents.some((agent) => agent.node === node));
  const first = nodes.find(({ problem }) => problem !== undefined);
  const message =
    first === undefined ? `${ready.length} of ${desired} nodes are ready` : `${first.agent.node}: ${first.problem?.message ?? ""}`;
  const status = {
    state,
    version: agents.find(({ answer }) => answer !== undefined)?.answer?.version ?? "unknown",
    desiredNumberScheduled: desired,
    numberAvailable: ready.length,
    lasReplicaAlert: desired - agents.length,
    lasProbeAlert: nodes.length - ready.length,
    nodes: { ...Object.fromEntries(gone.map((node) => [node, null])), ...Object.fromEntries(entries) },
    conditions: mergeConditions(
      las.status.conditions,
      [
        condition("Ready", isComplete, isComplete ? "AllNodes" : "NodesMissing", message),
        fieldsHonoured([
          las.spec.autoUpdate ? "autoUpdate (sconectl init updates the agents)" : undefined,
          las.spec.dcapKey === undefined
            ? undefined
            : "dcapKey (agents fetch nothing; the CAS does, with dcap.subscription_key of its owner: take the key out of the resource)",
        ]),
      ],
      now,
    ),
    observedGeneration: las.metadata.generation,
  };
  return { status, readyNodes: ready.map(({ agent }) => agent.node) };
}

interface Problem {
  readonly message: string;
  readonly needsPerson: boolean;
}

function findProblem(agent: AgentSeen, wanted: readonly string[]): Problem | undefined {
  if (agent.pod.state !== "HEALTHY") return { message: agent.pod.message, needsPerson: agent.pod.state === "UNHEALTHY" };
  if (agent.answer === undefined) return { message: "the agent does not answer on its port", needsPerson: false };
  if (agent.publishedKey === undefined) return { message: "the agent has not published its key yet", needsPerson: false };
  if (agent.publishedKey !== agent.answer.publicKey) {
    return { message: "whoever answers on the agent's port has another key than the agent published", needsPerson: true };
  }
  if (agent.answer.problem !== undefined) return { message: agent.answer.problem, needsPerson: true };
  const missing = wanted.filter((kind) => !agent.answer?.evidence.includes(kind));
  if (missing.length > 0) return { message: `the node cannot produce evidence of kind ${missing.join(", ")}`, needsPerson: true };
  return undefined;
}
