import { type CasClient, CasProblemError, ProtocolError } from "@vouchsafe/protocol";
import { type ConditionChange, condition } from "./conditions.ts";

/** One node agent that was seen to be what it should be. */
export interface KnownAgent {
  readonly node: string;
  /** SubjectPublicKeyInfo, DER, base64. */
  readonly publicKey: string;
  /** The cluster's statement about the key; undefined while the agent has none. */
  readonly statement: string | undefined;
}

/** The cluster's node agents as last seen, and which CAS has been told of which. Lost with the process, and then told again: that is harmless. */
export class AgentDirectory {
  readonly #agents = new Map<string, readonly KnownAgent[]>();
  readonly #enrolled = new Set<string>();

  /** Replaces what is known of one LAS; says whether a key is new. */
  replace(las: string, agents: readonly KnownAgent[]): boolean {
    const before = new Set(this.all().map(({ publicKey }) => publicKey));
    this.#agents.set(las, agents);
    return agents.some(({ publicKey }) => !before.has(publicKey));
  }

  all(): readonly KnownAgent[] {
    return [...this.#agents.values()].flat();
  }

  /** Carries the cluster's statements about agents to a CAS that has not heard them, and says how many agents it believes. */
  async enrol(casKeyHash: string, client: CasClient): Promise<ConditionChange> {
    const agents = this.all();
    for (const { node, publicKey, statement } of agents) {
      const identity = `${casKeyHash}/${publicKey}`;
      if (this.#enrolled.has(identity) || statement === undefined) continue;
      try {
        await client.enrolNode(Uint8Array.fromBase64(publicKey), statement);
        this.#enrolled.add(identity);
      } catch (error) {
        if (error instanceof CasProblemError) return condition("NodesEnrolled", false, "Refused", `node ${node}: ${error.message}`);
        if (error instanceof ProtocolError) return condition("NodesEnrolled", false, "NoAnswer", `node ${node}: ${error.message}`);
        throw error;
      }
    }
    const missing = agents.filter(({ publicKey }) => !this.#enrolled.has(`${casKeyHash}/${publicKey}`));
    if (missing.length > 0) {
      const names = missing.map(({ node }) => node).join(", ");
      return condition("NodesEnrolled", false, "NoStatement", `the cluster has said nothing yet about the agents of ${names}`);
    }
    return condition("NodesEnrolled", true, "Enrolled", `the CAS believes the agents of ${agents.length} nodes`);
  }
}
