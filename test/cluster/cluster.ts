import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const ROOT = join(import.meta.dirname, "..", "..");
const PROGRAMS = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "vouchsafe-cluster", "bin");
const REGISTRY = "127.0.0.1:5000";
const STATE = process.env["VOUCHSAFE_CLUSTER_STATE"] ?? "/var/tmp/vouchsafe-test-cluster";
const OUTPUT_MAX_BYTES = 32 * 1024 * 1024;
const RUN_TIMEOUT_MS = 15 * 60_000;

/**
 * Why the tests on a real cluster do not run; undefined when they do. They take minutes and most of the machine, so they run on request only:
 * VOUCHSAFE_CLUSTER=run, or =build to compile the cluster's programs first (20 to 40 minutes, once).
 */
export function reasonNotToRun(): string | undefined {
  const wanted = process.env["VOUCHSAFE_CLUSTER"];
  if (wanted === "build") return undefined;
  if (wanted !== "run") return "tests on a real Kubernetes run on request: VOUCHSAFE_CLUSTER=run (or =build, which compiles it first)";
  return existsSync(join(PROGRAMS, "coredns"))
    ? undefined
    : `${PROGRAMS} is not complete: run test/cluster/build.sh, or set VOUCHSAFE_CLUSTER=build`;
}

/** A namespace of a real cluster with Pod Security "restricted", and the command line of a fresh client in a directory of its own. */
export interface TestCluster {
  readonly namespace: string;
  readonly directory: string;
  readonly repository: string;
  /** Runs a program; its standard output. Throws with everything it wrote. */
  readonly run: (program: string, ...args: readonly string[]) => Promise<string>;
  /** As `run`, in a shell with the given variables. */
  readonly shell: (script: string, variables?: Readonly<Record<string, string>>) => Promise<string>;
}

/** Starts the cluster unless it runs, and makes a namespace in it; all of it ends with the test. */
export async function openCluster(t: TestContext): Promise<TestCluster> {
  const directory = await mkdtemp(join(tmpdir(), "vouchsafe-cluster-"));
  const namespace = `test-${process.pid}`;
  const login = Buffer.from("developer:development-only").toString("base64");
  await mkdir(join(directory, "docker"));
  await writeFile(join(directory, "docker", "config.json"), JSON.stringify({ auths: { [REGISTRY]: { auth: login } } }));
  const environment = {
    ...process.env,
    PATH: `${join(ROOT, "packages/cli/bin")}:${PROGRAMS}:${process.env["PATH"]}:/usr/sbin:/sbin`,
    KUBECONFIG: join(STATE, "admin.conf"),
    DOCKER_CONFIG: join(directory, "docker"),
    SCONECTL_CAS_CONFIG: join(directory, "client"),
    SCONECTL_REPO: `${REGISTRY}/platform`,
    VERSION: "0.1.0",
    VOUCHSAFE_EVIDENCE: "node",
  };
  const run = async (program: string, ...args: readonly string[]): Promise<string> => {
    const options = { cwd: directory, env: environment, maxBuffer: OUTPUT_MAX_BYTES, timeout: RUN_TIMEOUT_MS };
    try {
      return (await promisify(execFile)(program, args, options)).stdout;
    } catch (error) {
      const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string }; // execFile adds them
      throw new Error(`${program} ${args.join(" ")} failed\n${stdout}\n${stderr}`, { cause: error });
    }
  };
  const shell = (script: string, variables: Readonly<Record<string, string>> = {}) =>
    run(
      "bash",
      "-euo",
      "pipefail",
      "-c",
      `${Object.entries(variables)
        .map(([name, value]) => `export ${name}='${value}'`)
        .join("\n")}\n${script}`,
    );
  const wasRunning = existsSync(join(STATE, "run", "kubelet"));
  if (process.env["VOUCHSAFE_CLUSTER"] === "build") await run(join(ROOT, "test/cluster/build.sh"));
  await run(join(ROOT, "test/cluster/up.sh"));
  await shell(
    `for ns in scone-system ${namespace}; do
       kubectl get namespace $ns >/dev/null 2>&1 || kubectl create namespace $ns
       kubectl -n $ns get secret sconeapps >/dev/null 2>&1 ||
         kubectl -n $ns create secret docker-registry sconeapps --docker-server=${REGISTRY} --docker-username=developer --docker-password=development-only
     done
     kubectl label namespace ${namespace} pod-security.kubernetes.io/enforce=restricted`,
  );
  t.after(async () => {
    await shell(`kubectl delete namespace ${namespace} --wait=false`).catch(() => undefined); // the cluster may be gone already
    if (!wasRunning) await run(join(ROOT, "test/cluster/down.sh"));
    await rm(directory, { recursive: true, force: true });
  });
  return { namespace, directory, repository: REGISTRY, run, shell };
}

/** Looks every second until `look` gives something. */
export async function eventually<T>(what: string, look: () => Promise<T | undefined>, timeoutMs = 120_000): Promise<T> {
  const end = Date.now() + timeoutMs;
  for (let last: unknown; ; ) {
    try {
      const found = await look();
      if (found !== undefined) return found;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`${what} did not happen within ${timeoutMs / 1000} s`, { cause: last });
    await sleep(1_000);
  }
}
