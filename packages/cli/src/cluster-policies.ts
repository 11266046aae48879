import { Cluster, findCas, KubernetesError, loadKubeconfig, withCasClient } from "@vouchsafe/kubernetes";
import type { MeshPlan, PlannedPolicy } from "@vouchsafe/mesh";
import type { CasClient } from "@vouchsafe/protocol";
import { z } from "zod";
import type { ActivePolicy } from "./policy-documents.ts";
import type { Shell } from "./shell.ts";

type ActivePolicies = ReadonlyMap<string, ActivePolicy>;

const PolicyRecord = z.object({
  metadata: z.object({ creationTimestamp: z.string().default("") }),
  status: z.object({ state: z.string().optional(), hash: z.string().optional() }).prefault({}),
});

/**
 * What the user's cluster says about the policies of a plan (MF-100): its CAS, asked through the cluster's API since its name means nothing out
 * here, else the policy resources of earlier installations. Nothing where there is no cluster or no right. Throws E-KUBECONFIG-LIST.
 */
export async function activePoliciesOfCluster(
  plan: MeshPlan,
  { environment }: Pick<Shell, "environment">,
  askFor: (plan: MeshPlan, client: CasClient) => Promise<ActivePolicies>,
): Promise<ActivePolicies> {
  try {
    const cluster = new Cluster(loadKubeconfig(environment));
    const answered = await askCas(plan, cluster, askFor);
    return answered.size === plan.policies.length ? answered : await readResources(plan.policies, cluster);
  } catch (error) {
    if (error instanceof KubernetesError && error.code !== "E-KUBECONFIG-LIST") return new Map(); // earlier files decide
    throw error;
  }
}

async function askCas(
  plan: MeshPlan,
  cluster: Cluster,
  askFor: (plan: MeshPlan, client: CasClient) => Promise<ActivePolicies>,
): Promise<ActivePolicies> {
  const [name = "", namespace = "", ...more] = plan.cas.host.split(".");
  if (namespace === "" || (more.length > 0 && more[0] !== "svc")) return new Map();
  const cas = { name, namespace };
  try {
    if ((await findCas(cluster, cas)) === undefined) return new Map();
    return await withCasClient(cluster, cas, { pin: plan.cas.key }, (client) => askFor(plan, client));
  } catch (error) {
    if (error instanceof KubernetesError) return new Map(); // not ours to look at: the policy resources may be
    throw error;
  }
}

async function readResources(policies: readonly PlannedPolicy[], cluster: Cluster): Promise<ActivePolicies> {
  const found = new Map<string, ActivePolicy>();
  for (const { name, resource } of policies) {
    const records: z.infer<typeof PolicyRecord>[] = [];
    for (const kind of ["EncryptedPolicy", "SignedPolicy"]) {
      const listed = await cluster.list({ apiVersion: "cas.scone.cloud/v1beta1", kind }, `vouchsafe.dev/policy=${resource}`);
      records.push(...listed.map((each) => PolicyRecord.parse(each)));
    }
    const newest = records
      .filter(({ status }) => status.state === "UPLOADED" && status.hash !== undefined)
      .sort((left, right) => right.metadata.creationTimestamp.localeCompare(left.metadata.creationTimestamp))[0];
    if (newest?.status.hash !== undefined) found.set(name, { kind: "active", hash: newest.status.hash });
  }
  return found;
}
