import { z } from "zod";
import type { Cluster } from "../cluster/cluster.ts";
import type { CasResource, LasResource } from "../custom-resources/resources.ts";
import { OPERATOR_HEALTH_PORT } from "../objects/operator-objects.ts";
import { OPERATOR_NAME } from "../objects/operator-rights.ts";
import { componentSelector } from "../objects/platform-object.ts";
import { culpritOf } from "../operator/conditions.ts";
import { ELECTION_TIMES } from "../operator/leader.ts";
import { Surroundings } from "../operator/look-around.ts";
import { type Finding, failed, ok, warning } from "./finding.ts";

const Deployment = z.object({
  spec: z.object({
    replicas: z.number().default(1),
    template: z.object({ spec: z.object({ containers: z.array(z.object({ image: z.string() })).min(1) }) }),
  }),
  status: z.object({ readyReplicas: z.number().default(0) }).prefault({}),
});
const Lease = z.object({ spec: z.object({ holderIdentity: z.string().default(""), renewTime: z.string().optional() }).prefault({}) });
const RunningPod = z.object({ metadata: z.object({ name: z.string() }), status: z.object({ phase: z.string().default("") }).prefault({}) });
const INSTALL = "Install the platform: vouchsafe init.";

/** The operator as its Deployment shows it; undefined where there is none. */
export interface OperatorSeen {
  readonly image: string;
  readonly ready: number;
  readonly replicas: number;
}

export async function findOperator(cluster: Cluster, namespace: string): Promise<OperatorSeen | undefined> {
  const found = await cluster.find({ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: OPERATOR_NAME, namespace } });
  if (found === undefined) return undefined;
  const { spec, status } = Deployment.parse(found);
  return { image: spec.template.spec.containers[0]?.image ?? "", ready: status.readyReplicas, replicas: spec.replicas };
}

/** Whether an operator leads: without one every status below is what was seen some time ago. */
export async function examineOperator(cluster: Cluster, namespace: string, operator: OperatorSeen | undefined): Promise<Finding> {
  if (operator === undefined) return failed("operator", `there is none in ${namespace}`, INSTALL);
  const details = `See: kubectl -n ${namespace} describe pods -l app.kubernetes.io/name=operator`;
  if (operator.ready === 0) return failed("operator", `none of ${operator.replicas} pods is ready`, details);
  const lease = Lease.parse(
    (await cluster.find({ apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { name: OPERATOR_NAME, namespace } })) ?? {},
  );
  const { holderIdentity, renewTime } = lease.spec;
  const silentMs = renewTime === undefined ? Number.POSITIVE_INFINITY : (await cluster.time()).getTime() - Date.parse(renewTime);
  if (holderIdentity === "" || silentMs > 2 * ELECTION_TIMES.leaseMs) {
    return failed("operator", "no operator leads: statuses are not kept up to date", details);
  }
  const leader = `${holderIdentity.split("_")[0]} leads`;
  if (operator.ready < operator.replicas)
    return warning("operator", `${operator.ready} of ${operator.replicas} pods are ready; ${leader}`, details);
  return ok("operator", `${operator.ready} pods are ready; ${leader}`);
}

/** What a pod of the cluster sees: whether names resolve there. Asked through the cluster's API. */
export async function examineDns(cluster: Cluster, namespace: string): Promise<Finding> {
  const selector = Object.entries(componentSelector("operator", OPERATOR_NAME)).map(([label, value]) => `${label}=${value}`);
  const pods = (await cluster.list({ apiVersion: "v1", kind: "Pod", namespace }, selector.join(","))).map((pod) => RunningPod.parse(pod));
  const running = pods.find(({ status }) => status.phase === "Running");
  if (running === undefined) return warning("DNS in the cluster", "not looked at: no operator runs that could be asked", INSTALL);
  const path = `/api/v1/namespaces/${namespace}/pods/${running.metadata.name}:${OPERATOR_HEALTH_PORT}/proxy/surroundings`;
  const { dns } = Surroundings.parse(await cluster.read(path));
  if (dns.address !== undefined) return ok("DNS in the cluster", `pods resolve ${dns.name}`);
  return failed(
    "DNS in the cluster",
    `pods cannot resolve ${dns.name}: ${dns.problem ?? "no answer"}`,
    "Check the cluster's DNS: kubectl -n kube-system get pods -l k8s-app=kube-dns",
  );
}

/** Each node's agent, with what keeps services from starting there: seccomp profile, user namespaces. */
export function examineAgents(resources: readonly LasResource[]): readonly Finding[] {
  if (resources.length === 0) return [failed("node agents (las)", "there is none", INSTALL)];
  const nodes = resources.flatMap(({ status }) => Object.entries(status.nodes));
  const bad = nodes.filter(([, { ready }]) => ready !== true);
  const unhealthy = resources.find(({ status }) => status.state !== "HEALTHY");
  if (unhealthy === undefined && bad.length === 0)
    return [ok("node agents (las)", `HEALTHY on ${nodes.length} nodes: evidence, seccomp profile, user namespaces`)];
  if (bad.length === 0) {
    const why = unhealthy?.status.conditions.find(({ status }) => status !== "True")?.message ?? "not looked at yet";
    return [failed("node agents (las)", `${unhealthy?.status.state ?? "PENDING"}: ${why}`, "Details: kubectl describe las.")];
  }
  return bad.map(([node, { message }]) => {
    const text = typeof message === "string" ? message : "its agent is not ready";
    const [detail = text, ...remedy] = text.split("): ");
    return remedy.length > 0
      ? failed("node agents (las)", `${node}: ${detail})`, `On the node: ${remedy.join("): ")}`)
      : failed("node agents (las)", `${node}: ${text}`, "Details: kubectl describe las.");
  });
}

export function examineCas(cas: CasResource | undefined, name: string, namespace: string): Finding {
  const provision = `kubectl provision cas ${name} -n ${namespace}`;
  if (cas === undefined) return failed("CAS", `there is no CAS ${name} in ${namespace}`, `Install and provision it: ${provision}`);
  const { state, conditions } = cas.status;
  const unmet = conditions.filter(({ status }) => status !== "True");
  const enrolment = unmet.find(({ type }) => type === "NodesEnrolled");
  const other = culpritOf(unmet.filter(({ type }) => type !== "NodesEnrolled"));
  if (state !== "HEALTHY") {
    const why = other?.message ?? "the operator has not looked at it";
    return failed("CAS", `${state ?? "unknown"}: ${why}`, `Details: kubectl describe cas ${name} -n ${namespace}`);
  }
  if (enrolment !== undefined) return warning("CAS", `HEALTHY, but ${enrolment.message}`, `Run: ${provision}`);
  const proof = conditions.some(({ type, status }) => type === "Attestable" && status === "True")
    ? "attested by the operator"
    : "no evidence of hardware";
  return ok("CAS", `HEALTHY: ${proof}, owned, serving`);
}

/** Program, operator, agents and CAS of one version understand each other; of several they may. */
export function examineVersions(
  client: string,
  operator: OperatorSeen | undefined,
  las: readonly LasResource[],
  cas: CasResource | undefined,
): Finding {
  const tag = operator === undefined ? undefined : /:([^:/]+)$/.exec(operator.image.split("@")[0] ?? "")?.[1];
  const seen = [
    ["this program", client],
    ["the operator", tag === "latest" ? undefined : tag],
    ...las.map(({ status }) => ["the node agents", status.version] as const),
    ["the CAS", cas?.status.version],
  ] as const;
  const known = seen.flatMap(([who, version]) => (version === undefined || version === "unknown" ? [] : [{ who, version }]));
  const different = known.filter(({ version }) => version !== client);
  if (different.length === 0) return ok("versions", `${client} everywhere`);
  const what = different.map(({ who, version }) => `${who} ${version}`).join(", ");
  return warning(
    "versions",
    `this program is ${client}; ${what}`,
    "Update what is older: vouchsafe init, kubectl provision --upgrade, or this program.",
  );
}
