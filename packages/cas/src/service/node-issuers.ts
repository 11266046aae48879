import { hash } from "node:crypto";
import { keyHash } from "@vouchsafe/policy";
import { NODE_AUDIENCE_PREFIX, type NodeIssuer } from "@vouchsafe/protocol";
import { createLocalJWKSet, errors, type JWTPayload, jwtVerify } from "jose";
import { z } from "zod";
import type { CasContext } from "../cas-context.ts";
import { ApiError } from "../cas-error.ts";

/** The clusters whose word about their node agents the owner accepts, so that a new node needs no person (C-91). */
export class NodeIssuers {
  readonly #context: CasContext;
  readonly #issuers = new Map<string, NodeIssuer>();

  private constructor(context: CasContext) {
    this.#context = context;
  }

  static async open(context: CasContext): Promise<NodeIssuers> {
    const issuers = new NodeIssuers(context);
    for (const id of context.database.ids("node-issuer")) {
      const issuer = await context.database.get<NodeIssuer>({ kind: "node-issuer", id });
      if (issuer !== undefined) issuers.#issuers.set(issuer.issuer, issuer);
    }
    return issuers;
  }

  /** Adds a cluster, or replaces its keys. Keys enrolled before stay. */
  async put(issuer: NodeIssuer): Promise<void> {
    if (JSON.stringify(this.#issuers.get(issuer.issuer)) === JSON.stringify(issuer)) return;
    const context = this.#context;
    await context.database.transact((tx) => {
      tx.put({ kind: "node-issuer", id: idOf(issuer.issuer) }, issuer);
      context.audit.append(tx, "node_issuer_changed", { issuer: issuer.issuer, subject: issuer.subject, keys: issuer.keys.length });
    });
    this.#issuers.set(issuer.issuer, issuer);
  }

  /** From now on nobody of that cluster is enrolled without the owner; harmless when there was no such cluster. */
  async remove(issuer: string): Promise<void> {
    if (!this.#issuers.has(issuer)) return;
    const context = this.#context;
    await context.database.transact((tx) => {
      tx.delete({ kind: "node-issuer", id: idOf(issuer) });
      context.audit.append(tx, "node_issuer_changed", { issuer, subject: null, keys: 0 });
    });
    this.#issuers.delete(issuer);
  }

  /** Whether a statement in the name of one of the clusters vouches for an agent's key; the name of its node. Throws `forbidden`. */
  async verify(statement: string, spki: Uint8Array): Promise<string> {
    const payload = await verifyNodeStatement(statement, [...this.#issuers.values()], keyHash(spki), this.#context.now());
    return payload.node;
  }
}

const idOf = (issuer: string): string => hash("sha256", issuer);

/** What Kubernetes signs about the pod that asked: which node it runs on (tokens bound to a pod). */
const BoundClaims = z.looseObject({
  "kubernetes.io": z.looseObject({
    node: z.looseObject({ name: z.string().min(1).max(253) }),
    pod: z.looseObject({ name: z.string(), uid: z.string() }),
  }),
});
const ALGORITHMS = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"];
const CLOCK_TOLERANCE_SECONDS = 60;

/**
 * Verifies a service-account token that a node agent asked for in the name of its own key: its only audience is that key's hash, so it is worth
 * nothing to anybody who has not got the key, and no API server takes it. Throws `forbidden` and says which condition fails.
 */
async function verifyNodeStatement(
  statement: string,
  issuers: readonly NodeIssuer[],
  agentKeyHash: string,
  now: Date,
): Promise<{ readonly node: string }> {
  if (issuers.length === 0) {
    throw new ApiError("forbidden", "the owner of this CAS has allowed no cluster to enrol its node agents; run kubectl provision");
  }
  let reason = "";
  for (const issuer of issuers) {
    try {
      const { payload } = await jwtVerify(statement, createLocalJWKSet({ keys: issuer.keys }), {
        algorithms: ALGORITHMS,
        issuer: issuer.issuer,
        subject: issuer.subject,
        currentDate: now,
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        requiredClaims: ["exp", "aud"],
      });
      return readClaims(payload, agentKeyHash);
    } catch (error) {
      if (!(error instanceof errors.JOSEError)) throw error;
      reason = error.message; // about the token's form and claims; it quotes no secret
    }
  }
  throw new ApiError("forbidden", `the cluster's statement about the node agent is not accepted: ${reason}`);
}

function readClaims(payload: JWTPayload, agentKeyHash: string): { readonly node: string } {
  const expected = `${NODE_AUDIENCE_PREFIX}${agentKeyHash}`;
  const audiences = [payload.aud ?? []].flat();
  // An additional audience would make the statement a login somewhere else, hence a secret: not what was agreed.
  if (audiences.length !== 1 || audiences[0] !== expected) {
    throw new ApiError("forbidden", `the cluster's statement is about another key than ${agentKeyHash}`);
  }
  const claims = BoundClaims.safeParse(payload);
  if (!claims.success) throw new ApiError("forbidden", "the cluster's statement does not name the agent's pod and node");
  return { node: claims.data["kubernetes.io"].node.name };
}
