import type { EvidenceSource } from "@vouchsafe/attester";
import { type AgentAddress, askNodeAgent, describeAgent, ProtocolError } from "@vouchsafe/protocol";
import { RuntimeError } from "../runtime-error.ts";

/** Evidence of the node agent, which measures this container itself; in development of the software platform, which imitates hardware. */
export function nodeAgentSource(agent: AgentAddress): EvidenceSource {
  return {
    kinds: ["node", "simulated"],
    name: describeAgent(agent),
    absence: () => undefined,
    gather: ({ userData }) => askNodeAgent(agent, userData).catch(asRuntimeError),
  };
}

/** An agent that is busy is asked again, one that refuses is not. */
function asRuntimeError(error: unknown): never {
  if (!(error instanceof ProtocolError)) throw error;
  const { message, cause, remedy } = error;
  throw new RuntimeError(error.code === "NODE_AGENT_BUSY" ? "R-AGENT-BUSY" : "R-EVIDENCE", message, {
    cause,
    ...(remedy === undefined ? {} : { remedy }),
  });
}
