import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Finding } from "@vouchsafe/local";

const TIMEOUT_MS = 30_000;
const OUTPUT_MAX_BYTES = 16 * 1024 * 1024;

export interface ClusterQuestion {
  readonly cas: string;
  readonly casNamespace: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Asks the cluster of the present kubectl context what an application needs of it (checks 6 and 8 to 11 of the prerequisites). */
export async function examineCluster({ cas, casNamespace, environment }: ClusterQuestion): Promise<Finding[]> {
  const run = async (program: string, ...args: readonly string[]): Promise<string> =>
    (await promisify(execFile)(program, [...args], { env: { ...environment }, timeout: TIMEOUT_MS, maxBuffer: OUTPUT_MAX_BYTES })).stdout;
  const check = async (name: string, remedy: string, look: () => Promise<string>): Promise<Finding> => {
    try {
      return { name, outcome: "ok", detail: await look() };
    } catch (error) {
      return { name, outcome: "failed", detail: reasonOf(error), remedy };
    }
  };
  const tools = [
    await check("kubectl", "Install kubectl.", async () => firstLine(await run("kubectl", "version", "--client"))),
    await check("helm", "Install Helm 3.", async () => firstLine(await run("helm", "version", "--short"))),
  ];
  if (tools.some(({ outcome }) => outcome === "failed")) return tools;
  const cluster = await check("cluster", "Check KUBECONFIG and the present context: kubectl config current-context.", async () => {
    await run("kubectl", "get", "pods", "--output=name");
    return "answers, and lets you list pods";
  });
  if (cluster.outcome === "failed") return [...tools, cluster];
  const isHealthy = async (...resource: readonly string[]) => {
    const state = (await run("kubectl", "get", ...resource, "--output=jsonpath={.items[*].status.state}{.status.state}")).trim();
    if (state === "" || state.split(/\s+/).some((word) => word !== "HEALTHY")) throw new Error(state === "" ? "there is none" : state);
    return "HEALTHY";
  };
  return [
    ...tools,
    cluster,
    await check("node agents (las)", "Install the platform: vouchsafe init. Details: kubectl describe las.", () => isHealthy("las")),
    await check("CAS", `Install and provision it: kubectl provision cas ${cas} -n ${casNamespace}. Details: kubectl describe cas.`, () =>
      isHealthy("cas", cas, "--namespace", casNamespace),
    ),
  ];
}

const firstLine = (text: string): string => text.trim().split("\n")[0] ?? "";

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ("code" in error && error.code === "ENOENT") return "missing";
  const said = "stderr" in error && typeof error.stderr === "string" ? error.stderr.trim().split("\n").at(-1) : undefined;
  return said || error.message;
}
