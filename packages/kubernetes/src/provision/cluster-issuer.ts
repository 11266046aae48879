import { ClusterIssuer } from "@vouchsafe/protocol";
import { z } from "zod";
import { type Cluster, ClusterError } from "../cluster/cluster.ts";

const Discovery = z.object({ issuer: z.string() });
const KeySet = z.object({ keys: z.array(z.looseObject({})) });

/** Who signs the cluster's service-account tokens, and the account whose tokens shall count; undefined where that may not be read. */
export async function readClusterIssuer(cluster: Cluster, namespace: string, account: string): Promise<ClusterIssuer | undefined> {
  try {
    const { issuer } = Discovery.parse(await cluster.read("/.well-known/openid-configuration"));
    const { keys } = KeySet.parse(await cluster.read("/openid/v1/jwks"));
    return ClusterIssuer.parse({ issuer, subject: `system:serviceaccount:${namespace}:${account}`, keys });
  } catch (error) {
    if (error instanceof ClusterError && (error.status === 403 || error.status === 404)) return undefined;
    throw error;
  }
}
