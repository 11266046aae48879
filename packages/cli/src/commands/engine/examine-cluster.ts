import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Cluster, examineCluster as examineWholeCluster, type Finding, KubernetesError, loadKubeconfig } from "@vouchsafe/kubernetes";
import { VERSION } from "../../version.ts";

const TIMEOUT_MS = 30_000;

export interface ClusterQuestion {
  readonly cas: string;
  readonly casNamespace: string;
  /** Where applications go; that of the present context unless given. */
  readonly namespace: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Asks this machine for the tools, and the cluster of the present context for what an application needs of it (CL-82). */
export async function examineCluster({ cas, casNamespace, namespace, environment }: ClusterQuestion): Promise<readonly Finding[]> {
  const tools = [
    await examineTool("kubectl", "Install kubectl.", environment, "version", "--client"),
    await examineTool("helm", "Install Helm 3.", environment, "version", "--short"),
  ];
  let cluster: Cluster;
  try {
    cluster = new Cluster(loadKubeconfig(environment));
  } catch (error) {
    if (!(error instanceof KubernetesError)) throw error;
    const remedy = error.remedy ?? "Check KUBECONFIG.";
    return [...tools, { name: "cluster", outcome: "failed", detail: error.message, remedy }];
  }
  const { config } = cluster;
  const findings = await examineWholeCluster(cluster, {
    cas,
    casNamespace,
    namespace: namespace ?? (config.getContextObject(config.getCurrentContext())?.namespace || "default"),
    platformNamespace: "scone-system",
    pullSecret: "sconeapps",
    version: VERSION,
    now: () => new Date(),
  });
  return [...tools, ...findings];
}

async function examineTool(
  program: string,
  remedy: string,
  environment: ClusterQuestion["environment"],
  ...argv: readonly string[]
): Promise<Finding> {
  try {
    const { stdout } = await promisify(execFile)(program, [...argv], { env: { ...environment }, timeout: TIMEOUT_MS });
    return { name: program, outcome: "ok", detail: stdout.trim().split("\n")[0] ?? "" };
  } catch (error) {
    const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT";
    const detail = isMissing ? "missing" : error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
    return { name: program, outcome: "failed", detail, remedy };
  }
}
