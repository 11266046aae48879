import { execFile, execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

export const ROOT = join(import.meta.dirname, "..", "..");
/** Where `up.sh` keeps the state of the test cluster. */
export const CLUSTER_STATE = process.env["VOUCHSAFE_CLUSTER_STATE"] ?? "/var/tmp/vouchsafe-test-cluster";
const PROGRAMS =
  process.env["VOUCHSAFE_CLUSTER_BIN"] ?? join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "vouchsafe-cluster", "bin");
const REGISTRY = process.env["VOUCHSAFE_CLUSTER_REGISTRY"] ?? "127.0.0.1:5000";
const USER = process.env["VOUCHSAFE_CLUSTER_REGISTRY_USER"] ?? "developer";
const PASSWORD = process.env["VOUCHSAFE_CLUSTER_REGISTRY_PASSWORD"] ?? "development-only";
const VERSION = "0.1.0";
/** Set for the files of the whole suite after the first has prepared the platform. */
export const PREPARED = "VOUCHSAFE_CLUSTER_PREPARED";
const OUTPUT_MAX_BYTES = 32 * 1024 * 1024;
const RUN_TIMEOUT_MS = 15 * 60_000;

/** Whether the tests run on a cluster of the user's, that of `KUBECONFIG`. Its nodes are not ours to touch. */
export const isOwnCluster = (): boolean => process.env["VOUCHSAFE_CLUSTER"] === "kubeconfig";

/** Why the tests on a real cluster do not run, as `suite.sh` says it; undefined when they do. */
export function reasonNotToRun(): string | undefined {
  try {
    return execFileSync(join(ROOT, "test/cluster/suite.sh"), ["why-not"], { encoding: "utf8" }).trim();
  } catch {
    // None: the command fails then.
  }
  if (isOwnCluster() || existsSync(join(PROGRAMS, "coredns"))) return undefined;
  return `${PROGRAMS} is not complete: run test/cluster/build.sh`;
}

/** A namespace of a real cluster with Pod Security "restricted", and the command line of a fresh client in a directory of its own. */
export interface TestCluster {
  readonly namespace: string;
  readonly directory: string;
  /** Prefix of the repositories to push to. */
  readonly repository: string;
  readonly environment: NodeJS.ProcessEnv;
  /** Runs a program; its standard output. Throws with everything it wrote. */
  readonly run: (program: string, ...args: readonly string[]) => Promise<string>;
  /** As `run`, in a shell with the given variables. */
  readonly shell: (script: string, variables?: Readonly<Record<string, string>>) => Promise<string>;
  /** Work for the end of the test, while the cluster and the directory are still there; the last given comes first. */
  readonly atEnd: (work: () => Promise<unknown>) => void;
  /** What `sconectl init` must know about the nodes of the test cluster. */
  readonly nodeSettings: readonly string[];
  /** Makes another namespace that ends with the test. */
  readonly addNamespace: (name: string) => Promise<void>;
  /** Gives a namespace that is there already the registry's login, until the test ends. */
  readonly addPullSecret: (namespace: string) => Promise<void>;
}

/** Starts the cluster unless it runs, and makes a namespace in it; all of it ends with the test. */
export async function openCluster(t: TestContext): Promise<TestCluster> {
  const directory = await mkdtemp(join(tmpdir(), "vouchsafe-cluster-"));
  const namespace = `test-${process.pid}`;
  const login = Buffer.from(`${USER}:${PASSWORD}`).toString("base64");
  await mkdir(join(directory, "docker"));
  await writeFile(join(directory, "docker", "config.json"), JSON.stringify({ auths: { [REGISTRY]: { auth: login } } }));
  const environment = {
    ...process.env,
    PATH: `${join(ROOT, "packages/cli/bin")}:${PROGRAMS}:${process.env["PATH"]}:/usr/sbin:/sbin`,
    KUBECONFIG: isOwnCluster() ? process.env["KUBECONFIG"] : join(CLUSTER_STATE, "admin.conf"),
    DOCKER_CONFIG: join(directory, "docker"),
    SCONECTL_CAS_CONFIG: join(directory, "client"),
    SCONECTL_REPO: process.env["VOUCHSAFE_CLUSTER_PLATFORM"] ?? `${REGISTRY}/platform`,
    VERSION,
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
  const hasStarted = !isOwnCluster() && !existsSync(join(CLUSTER_STATE, "run", "kubelet"));
  if (hasStarted) await run(join(ROOT, "test/cluster/up.sh"));
  const pullSecret = (name: string) =>
    `kubectl get namespace ${name} >/dev/null 2>&1 || kubectl create namespace ${name}
     kubectl -n ${name} get secret sconeapps >/dev/null 2>&1 ||
       kubectl -n ${name} create secret docker-registry sconeapps --docker-server=${REGISTRY} --docker-username=${USER} --docker-password=${PASSWORD}\n`;
  const added: string[] = [];
  const ending: (() => Promise<unknown>)[] = [];
  const addNamespace = async (name: string) => {
    added.push(name);
    await shell(`${pullSecret(name)} kubectl label --overwrite namespace ${name} pod-security.kubernetes.io/enforce=restricted`);
  };
  t.after(async () => {
    for (const work of ending.toReversed()) await work().catch((error: unknown) => t.diagnostic(String(error)));
    if (added.length > 0) await run("kubectl", "delete", "namespace", ...added, "--wait=false").catch(() => undefined); // the cluster may be gone already
    if (hasStarted) await run(join(ROOT, "test/cluster/down.sh"), "--wipe");
    await rm(directory, { recursive: true, force: true });
  });
  const addPullSecret = async (name: string) => {
    const hadOne = (await run("kubectl", "-n", name, "get", "secret", "sconeapps", "--ignore-not-found", "-o", "name")).trim() !== "";
    await shell(pullSecret(name));
    if (!hadOne) ending.push(() => run("kubectl", "-n", name, "delete", "secret", "sconeapps"));
  };
  const nodeSettings = isOwnCluster()
    ? []
    : ["--container-runtime", `${CLUSTER_STATE}/containerd/containerd.sock`, "--kubelet-root", `${CLUSTER_STATE}/kubelet`];
  await shell(pullSecret("scone-system"));
  await addNamespace(namespace);
  const repository = `${REGISTRY}/${namespace}`;
  const atEnd = (work: () => Promise<unknown>) => void ending.push(work);
  return { namespace, directory, repository, environment, run, shell, atEnd, nodeSettings, addNamespace, addPullSecret };
}

/**
 * Prepares the cluster as a platform team does, once: publishes the platform's images and installs the cluster side. Then a CAS in
 * `scone-system` is provisioned, whose owner is a client that lives as long as the cluster; other clients use it without owning it. Within a run of the
 * whole suite that was done before, and it is only waited for: the test before may have restarted parts of it.
 */
export async function preparePlatform({ run, shell, nodeSettings }: TestCluster): Promise<void> {
  const isPrepared = process.env[PREPARED] !== undefined;
  if (!isPrepared) {
    await run("vouchsafe", "publish", process.env["VOUCHSAFE_CLUSTER_PLATFORM"] ?? `${REGISTRY}/platform`);
    await run("sconectl", "init", ...nodeSettings);
  }
  // After an update of the platform its agents start again.
  await eventually("the platform is healthy", async () => (/ HEALTHY /.test(await run("kubectl", "get", "las")) ? true : undefined));
  if (isPrepared) {
    await run("kubectl", "-n", "scone-system", "wait", "cas/cas", "--for=jsonpath={.status.state}=HEALTHY", "--timeout=180s");
    return;
  }
  await shell(
    `kubectl provision cas cas -n scone-system --is-provisioned >/dev/null || kubectl provision cas cas -n scone-system`,
    isOwnCluster() ? {} : { SCONECTL_CAS_CONFIG: join(CLUSTER_STATE, "owner") },
  );
}

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 1_000;

/** Looks until `look` gives something: soon at first, then every second. */
export async function eventually<T>(what: string, look: () => Promise<T | undefined>, timeoutMs = 120_000): Promise<T> {
  const end = Date.now() + timeoutMs;
  let last: unknown;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 1.5)) {
    try {
      const found = await look();
      if (found !== undefined) return found;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`${what} did not happen within ${timeoutMs / 1000} s`, { cause: last });
    await sleep(pauseMs);
  }
}
