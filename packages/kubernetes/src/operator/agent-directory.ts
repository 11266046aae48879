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

/** A CAS believes the cluster's word for some hours, and may have gone back to a snapshot that lacks it: it is told again and again. */
const TOLD_AGAIN_MS = 5 * 60_000;

/** The cluster's node agents as last seen, and when which CAS was told of which. Lost with the process, and then told again: that is harmless. */
export class AgentDirectory {
  readonly #agents = new Map<string, readonly KnownAgent[]>();
  /** Time in milliseconds, by CAS and key. */
  readonly #toldAt = new Map<string, number>();

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
  async enrol(casKeyHash: string, client: CasClient, now: Date): Promise<ConditionChange> {
    const agents = this.all();
    const isTold = (identity: string) => now.getTime() - (this.#toldAt.get(identity) ?? 0) < TOLD_AGAIN_MS;
    for (const { node, publicKey, statement } of agents) {
      const identity = `${casKeyHash}/${publicKey}`;
      if (isTold(identity) || statement === undefined) continue;
      try {
        await client.enrolNode(Uint8Array.fromBase64(publicKey), statement);
        this.#toldAt.set(identity, now.getTime());
      } catch (error) {
        if (error instanceof CasProblemError) return condition("NodesEnrolled", false, "Refused", `node ${node}: ${error.message}`);
        if (error instanceof ProtocolError) return condition("NodesEnrolled", false, "NoAnswer", `node ${node}: ${error.message}`);
        throw error;
      }
    }
    const missing = agents.filter(({ publicKey }) => !this.#toldAt.has(`${casKeyHash}/${publicKey}`));
    if (missing.length > 0) {
      const names = missing.map(({ node }) => node).join(", ");
      return condition("NodesEnrolled", false, "NoStatement", `the cluster has said nothing yet about the agents of ${names}`);
    }
    return condition("NodesEnrolled", true, "Enrolled", `the CAS believes the agents of ${agents.length} nodes`);
  }
}
