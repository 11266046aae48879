import type { Cluster } from "../cluster/cluster.ts";
import { CasResource, LasResource } from "../custom-resources/resources.ts";
import { isOlder } from "../version-order.ts";
import { examineClocks } from "./clocks.ts";
import { type Finding, failed, look, ok } from "./finding.ts";
import { examineAgents, examineCas, examineDns, examineOperator, examineVersions, findOperator } from "./platform-state.ts";
import { examinePullSecret, examineRegistry, registryOf } from "./registry.ts";
import { examineOperatorRights, examineOwnRights } from "./rights.ts";
import { examineStorage } from "./storage.ts";

export interface ClusterQuestion {
  readonly cas: string;
  readonly casNamespace: string;
  /** Where applications are to be installed. */
  readonly namespace: string;
  readonly platformNamespace: string;
  readonly pullSecret: string;
  /** Version of this program. */
  readonly version: string;
  readonly now: () => Date;
}

/** Admission policies, which narrow the rights of agents and operator, are stable from here on. */
const OLDEST_KUBERNETES = "1.30";

/** Looks at everything in a cluster that an application needs in order to start, each with a remedy where it is wrong. */
export async function examineCluster(cluster: Cluster, question: ClusterQuestion): Promise<readonly Finding[]> {
  const { cas, casNamespace, namespace, platformNamespace, version, now } = question;
  const answers = await look("cluster", () => examineServer(cluster));
  if (answers.some(({ outcome }) => outcome === "failed")) return answers;
  const operator = await findOperator(cluster, platformNamespace).catch(() => undefined); // reported by the check of the operator itself
  const resources = (await cluster.list({ apiVersion: "base.scone.cloud/v1beta1", kind: "LAS" }).catch(() => [])).map((found) =>
    LasResource.parse(found),
  ); // as above
  const findCas = async () => {
    const found = await cluster.find({
      apiVersion: "services.scone.cloud/v1beta1",
      kind: "CAS",
      metadata: { name: cas, namespace: casNamespace },
    });
    return found === undefined ? undefined : CasResource.parse(found);
  };
  const resource = await findCas().catch(() => undefined); // as above
  const registry = registryOf(operator?.image ?? "");
  const places = [...new Set([namespace, casNamespace, platformNamespace])];
  const checks: readonly (readonly [string, () => Promise<Finding | readonly Finding[]>])[] = [
    ["clocks", () => examineClocks(cluster, now)],
    ["your rights", () => examineOwnRights(cluster, namespace, casNamespace)],
    ["operator", () => examineOperator(cluster, platformNamespace, operator)],
    ["rights of the operator", () => examineOperatorRights(cluster, platformNamespace)],
    ["DNS in the cluster", () => examineDns(cluster, platformNamespace)],
    ["node agents (las)", async () => examineAgents(resources)],
    ...(operator === undefined
      ? []
      : [
          ...places.map(
            (place) => [`pull secret in ${place}`, () => examinePullSecret(cluster, place, question.pullSecret, registry)] as const,
          ),
          ["registry", () => examineRegistry(cluster, registry, places)] as const,
        ]),
    ["CAS", async () => examineCas(await findCas(), cas, casNamespace)],
    ...(resource === undefined ? [] : [["storage of the CAS", () => examineStorage(cluster, resource)] as const]),
    ["versions", async () => examineVersions(version, operator, resources, resource)],
  ];
  const findings: Finding[] = [...answers];
  for (const [name, check] of checks) findings.push(...(await look(name, check)));
  return findings;
}

async function examineServer(cluster: Cluster): Promise<Finding> {
  const version = await cluster.version();
  if (!isOlder(version.replace(/[+-].*$/, ""), OLDEST_KUBERNETES)) return ok("cluster", `answers; Kubernetes ${version}`);
  return failed("cluster", `Kubernetes ${version} is too old`, `Use Kubernetes ${OLDEST_KUBERNETES} or newer.`);
}
