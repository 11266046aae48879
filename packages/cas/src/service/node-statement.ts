import { keyHash } from "@vouchsafe/policy";
import { NODE_AUDIENCE_PREFIX } from "@vouchsafe/protocol";
import { z } from "zod";
import { ApiError } from "../cas-error.ts";
import type { ClusterIssuers } from "./cluster-issuers.ts";

/** What Kubernetes signs about the pod that asked: which node it runs on (tokens bound to a pod). */
const BoundClaims = z.looseObject({
  "kubernetes.io": z.looseObject({
    node: z.looseObject({ name: z.string().min(1).max(253) }),
    pod: z.looseObject({ name: z.string(), uid: z.string() }),
  }),
});

/** Whether a statement in the name of one of the clusters vouches for an agent's key; the name of its node. Throws `forbidden`. */
export async function verifyNodeStatement(issuers: ClusterIssuers, statement: string, spki: Uint8Array): Promise<string> {
  const claims = BoundClaims.safeParse(await issuers.verify(statement, `${NODE_AUDIENCE_PREFIX}${keyHash(spki)}`));
  if (!claims.success) throw new ApiError("forbidden", "the cluster's statement does not name the agent's pod and node");
  return claims.data["kubernetes.io"].node.name;
}
