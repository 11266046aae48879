import { NODE_AUDIENCE_PREFIX } from "@vouchsafe/protocol";
import type { Cluster } from "../cluster/cluster.ts";
import { AGENT_ACCOUNT } from "../objects/agent-rights.ts";

/** The agent's own pod, to which the cluster binds what it says about the agent. */
export interface AgentPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

const LIFETIME_SECONDS = 3_600;
const RENEW_AFTER_MS = (LIFETIME_SECONDS * 1000) / 2;

/**
 * What the cluster says about this agent's key, for a CAS that shall believe it without a person: a service-account token that the agent asks for
 * in the name of its own key. Its only audience is the key's hash, and the cluster binds it to the agent's pod, hence to its node. It is no login
 * anywhere, so it may be shown to everybody: only who has the key gains by it.
 */
export class EnrolmentStatement {
  readonly #cluster: Cluster;
  readonly #pod: AgentPod;
  readonly #audience: string;
  #token: string | undefined;
  #madeAt = 0;

  constructor(cluster: Cluster, pod: AgentPod, keyHash: string) {
    this.#cluster = cluster;
    this.#pod = pod;
    this.#audience = `${NODE_AUDIENCE_PREFIX}${keyHash}`;
  }

  /** The present statement; undefined while the cluster gave none. */
  get token(): string | undefined {
    return this.#token;
  }

  /** Asks for a new statement when half of the old one's time is over. Throws E-CLUSTER; then the old one stays. */
  async refresh(nowMs: number): Promise<void> {
    if (this.#token !== undefined && nowMs - this.#madeAt < RENEW_AFTER_MS) return;
    const { namespace, name, uid } = this.#pod;
    this.#token = await this.#cluster.requestToken(namespace, AGENT_ACCOUNT, {
      audiences: [this.#audience],
      expirationSeconds: LIFETIME_SECONDS,
      boundObjectRef: { apiVersion: "v1", kind: "Pod", name, uid },
    });
    this.#madeAt = nowMs;
  }
}
