import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { KubeConfig } from "@kubernetes/client-node";
import type { Cluster } from "../cluster/cluster.ts";
import { CUSTOM_RESOURCE_DEFINITIONS } from "../custom-resources/definitions.ts";
import { installDefinitions } from "../install/install-definitions.ts";

/** Where `test/cluster/build.sh` puts the programs of the test cluster. */
export const CLUSTER_PROGRAMS = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "vouchsafe-cluster", "bin");

/** What is missing to start an API server here, as a sentence; undefined when nothing is. */
export function missingForApiServer(): string | undefined {
  if (!existsSync(join(CLUSTER_PROGRAMS, "kube-apiserver")))
    return `no kube-apiserver in ${CLUSTER_PROGRAMS}: test/cluster/build.sh compiles it`;
  if (!existsSync("/usr/bin/etcd")) return "etcd is not installed (Debian package etcd-server)";
  return undefined;
}

export interface ApiServer {
  readonly config: KubeConfig;
  /** Text of a kubeconfig file for the administrator. */
  readonly kubeconfig: string;
  /** Ends both processes and removes their state. */
  readonly stop: () => Promise<void>;
}

/** A real API server with its own etcd on loopback: no controllers, no nodes. Both run until `stop`. */
export async function startApiServer(): Promise<ApiServer> {
  const directory = await mkdtemp(join(tmpdir(), "vouchsafe-api-"));
  const [client, peer, secure] = [await freePort(), await freePort(), await freePort()];
  const token = randomBytes(16).toString("hex");
  const keys = generateKeyPairSync("rsa", { modulusLength: 2048 });
  await writeFile(join(directory, "sa.key"), keys.privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
  await writeFile(join(directory, "sa.pub"), keys.publicKey.export({ type: "spki", format: "pem" }));
  await writeFile(join(directory, "tokens.csv"), `${token},admin,admin,system:masters\n`, { mode: 0o600 });
  const etcdUrl = `http://127.0.0.1:${client}`;
  const peerUrl = `http://127.0.0.1:${peer}`;
  const etcd = start("etcd", [
    ...["--data-dir", join(directory, "etcd"), "--unsafe-no-fsync", "--log-level", "error"],
    ...["--listen-client-urls", etcdUrl, "--advertise-client-urls", etcdUrl],
    ...["--listen-peer-urls", peerUrl, "--initial-advertise-peer-urls", peerUrl, "--initial-cluster", `default=${peerUrl}`],
  ]);
  const api = start(join(CLUSTER_PROGRAMS, "kube-apiserver"), [
    `--etcd-servers=${etcdUrl}`,
    `--secure-port=${secure}`,
    ...["--bind-address=127.0.0.1", "--service-cluster-ip-range=10.97.0.0/16", "--authorization-mode=RBAC", "--allow-privileged=true"],
    `--cert-dir=${directory}/certificates`,
    `--token-auth-file=${directory}/tokens.csv`,
    `--service-account-key-file=${directory}/sa.pub`,
    `--service-account-signing-key-file=${directory}/sa.key`,
    "--service-account-issuer=https://kubernetes.default.svc",
    "--disable-admission-plugins=ServiceAccount",
  ]);
  const config = new KubeConfig();
  config.loadFromOptions({
    clusters: [{ name: "test", server: `https://127.0.0.1:${secure}`, skipTLSVerify: true }],
    users: [{ name: "admin", token }],
    contexts: [{ name: "test", cluster: "test", user: "admin" }],
    currentContext: "test",
  });
  const stop = async () => {
    for (const child of [api, etcd]) await end(child);
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await untilReady(secure, token);
  } catch (error) {
    await stop();
    throw error;
  }
  return { config, kubeconfig: config.exportConfig(), stop };
}

function start(program: string, args: readonly string[]): ChildProcess {
  return spawn(program, args, { stdio: "ignore", env: { PATH: process.env["PATH"] } });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL"); // the state is thrown away anyway
  await ended;
}

async function untilReady(port: number, token: string): Promise<void> {
  const { Agent, request } = await import("node:https");
  const agent = new Agent({ rejectUnauthorized: false }); // a certificate made a second ago, for this process alone
  const ask = () =>
    new Promise<number>((resolve) => {
      const call = request({ host: "127.0.0.1", port, path: "/readyz", agent, headers: { authorization: `Bearer ${token}` } }, (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      });
      call.on("error", () => resolve(0));
      call.end();
    });
  for (let attempt = 0; attempt < 300; attempt++) {
    if ((await ask()) === 200) return agent.destroy();
    await sleep(200);
  }
  throw new Error("the API server did not become ready within a minute");
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("a TCP server has a port");
  return address.port;
}

/** Gives an API server the definitions of the platform's resources. */
export const defineResources = (cluster: Cluster): Promise<void> =>
  installDefinitions(
    cluster,
    CUSTOM_RESOURCE_DEFINITIONS.map((definition) => ({ ...definition })),
    { timeoutMs: 60_000, signal: new AbortController().signal, log: () => undefined },
  );
