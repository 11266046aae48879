import type { ChildProcess } from "node:child_process";
import type { KeyObject } from "node:crypto";
import { once } from "node:events";
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Server } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { encodeWorkload } from "@vouchsafe/attestation";
import type { SoftwarePlatform } from "@vouchsafe/cas";
import { LAUNCHER_PATH } from "@vouchsafe/image";
import { readStatus } from "@vouchsafe/linux";
import type { ServiceRecord } from "@vouchsafe/mesh";
import { AGENT_SOCKET, containerSteps, READY_FILE, TPM_SOCKET, WORKLOAD_FILE } from "./container-steps.ts";
import { type HostOrder, socketPaths } from "./engine-order.ts";
import type { InstanceStatus } from "./engine-status.ts";
import { assertUntouched, type ImageRoot, workloadOf } from "./image-root.ts";
import { LocalError } from "./local-error.ts";
import type { LogFile } from "./log-file.ts";
import type { Instance, MeshLayout } from "./mesh-layout.ts";
import { connectContainer } from "./mesh-network.ts";
import { serveEvidence, vouchAsNode } from "./node-agent.ts";
import { relay } from "./relay.ts";
import { startProgram } from "./start-program.ts";

const POLL_MS = 100;
const WAIT_FOR_MS = 500;
const CONNECT_MS = 1_000;
const BACKOFF_FIRST_MS = 500;
const BACKOFF_LONGEST_MS = 30_000;
/** A program that ran this long starts the back-off afresh. */
const STABLE_MS = 30_000;

export interface ContainerContext {
  readonly order: HostOrder;
  readonly layout: MeshLayout;
  readonly instance: Instance;
  readonly service: ServiceRecord;
  readonly root: ImageRoot;
  readonly agentKey: KeyObject;
  /** Vouches in place of the agent, where the application runs on simulated evidence. */
  readonly platform: SoftwarePlatform | undefined;
  readonly log: LogFile;
  readonly report: (status: InstanceStatus) => void;
}

/** One instance for as long as the mesh lives: waits for what it needs, starts, watches, starts again. */
export class Container {
  readonly #context: ContainerContext;
  readonly #directory: string;
  readonly #stopping = new AbortController();
  #child: ChildProcess | undefined;
  #state: InstanceStatus["state"] = "waiting";
  #since = new Date();
  #restarts = 0;
  #lastExit: number | null = null;
  #reason: string | undefined;
  #finished: Promise<void> | undefined;

  constructor(context: ContainerContext) {
    this.#context = context;
    this.#directory = join(context.order.runDir, `i${context.instance.index}`);
  }

  get status(): InstanceStatus {
    const { name, service, address } = this.#context.instance;
    return {
      ...{
        name,
        service,
        address,
        state: this.#state,
        restarts: this.#restarts,
        lastExit: this.#lastExit,
        since: this.#since.toISOString(),
      },
      ...(this.#reason === undefined ? {} : { reason: this.#reason }),
    };
  }

  run(): void {
    this.#finished ??= this.#supervise().catch((error: unknown) => {
      if (!this.#stopping.signal.aborted) this.#become("ended", describe(error));
    });
  }

  /** Asks the program to end, and makes it after the grace period. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const child = this.#child;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const exited = once(child, "exit");
      const init = this.#findInit(child);
      if (init !== undefined) process.kill(init, "SIGTERM");
      const grace = sleep(this.#context.service.terminationGracePeriodSeconds * 1000, "late", { ref: false });
      if ((await Promise.race([exited, grace])) === "late" || init === undefined) {
        child.kill("SIGKILL"); // its child, process 1 of the container, is told by the kernel to end with it
        await exited;
      }
    }
    await this.#finished;
  }

  async #supervise(): Promise<void> {
    const { signal } = this.#stopping;
    const { service } = this.#context;
    for (let backoffMs = BACKOFF_FIRST_MS; ; ) {
      await this.#waitForOthers();
      const startedAt = Date.now();
      const code = await this.#runOnce();
      if (signal.aborted) return;
      this.#lastExit = code;
      const again = service.restartPolicy === "Always" || (service.restartPolicy === "OnFailure" && code !== 0);
      if (!again) {
        this.#become("ended", `ended with status ${code}`);
        return;
      }
      if (Date.now() - startedAt > STABLE_MS) backoffMs = BACKOFF_FIRST_MS;
      this.#become("backoff", `ended with status ${code}, starts again in ${backoffMs / 1000} s`);
      await sleep(backoffMs, undefined, { signal });
      backoffMs = Math.min(backoffMs * 2, BACKOFF_LONGEST_MS);
      this.#restarts++;
    }
  }

  /** MF-121: the program starts when all hosts it names accept a connection, however long that takes. */
  async #waitForOthers(): Promise<void> {
    const { layout, service } = this.#context;
    for (const { host, port } of service.waitFor) {
      for (;;) {
        const [address] = layout.zone.addresses.get(host.toLowerCase().replace(/\.$/, "")) ?? [];
        if (address !== undefined && (await acceptsConnection(address, port))) break;
        this.#become("waiting", address === undefined ? `no service has the name ${host}` : `waits for ${host}:${port}`);
        await sleep(WAIT_FOR_MS, undefined, { signal: this.#stopping.signal });
      }
    }
  }

  /** From start to end of one process. Returns its exit status. */
  async #runOnce(): Promise<number> {
    const { order, root, agentKey, platform, log, instance, service } = this.#context;
    this.#become("starting");
    assertUntouched(root);
    const { exchange, nameFiles } = this.#prepareFiles();
    // Milliseconds and PID together never repeat on a machine; what counts is that no two instances share a number.
    const instanceCounter = BigInt(Date.now()) * 0x40_0000n + BigInt(instance.index);
    const workload = {
      service: service.serviceId,
      imageDigest: root.digest,
      fileSystemTag: root.fileSystemTag,
      program: LAUNCHER_PATH,
      instanceCounter,
    };
    using sources = new DisposableStack();
    const vouch = platform?.vouchFor(workloadOf(root)) ?? vouchAsNode(workload, agentKey);
    const agent = await serveEvidence(join(exchange, "agent.sock"), order.ids.rootId, vouch);
    sources.defer(() => agent.close());
    const tpm = order.usesTpm ? await this.#relayTpm(join(exchange, "tpm.sock")) : undefined;
    sources.defer(() => tpm?.close());
    try {
      const { child, ended } = await startProgram(
        containerSteps({
          hostName: instance.name,
          root: root.directory,
          nameFiles,
          exchange,
          rootId: order.ids.rootId,
          argv: [service.containerCommand[0] ?? LAUNCHER_PATH],
          environment: {
            ...order.environment,
            ...service.containerEnvironment,
            VOUCHSAFE_EVIDENCE: order.record.evidence.join(","),
            VOUCHSAFE_WORKLOAD_FILE: WORKLOAD_FILE,
            VOUCHSAFE_AGENT_SOCKET: AGENT_SOCKET,
            ...(order.usesTpm ? { VOUCHSAFE_TPM: `unix:${TPM_SOCKET}` } : {}),
            VOUCHSAFE_READY_FILE: READY_FILE,
          },
        }),
        { n: (pid) => connectContainer(pid, instance), u: (pid) => this.#mapUsers(pid) },
        ["ignore", "pipe", "pipe"],
        (chunk) => log.write(chunk),
      );
      this.#child = child;
      const ending = new AbortController();
      const closed = ended.then(() => ending.abort());
      if (this.#stopping.signal.aborted) child.kill("SIGKILL");
      await Promise.all([closed, this.#watchReadiness(join(exchange, "ready"), ending.signal)]);
      return child.exitCode ?? 255;
    } finally {
      this.#child = undefined;
    }
  }

  /** The engine's way to the TPM, for process 1 of this container alone. */
  async #relayTpm(path: string): Promise<Server> {
    const { runDir, ids } = this.#context.order;
    const server = await relay({ path }, () => ({ path: socketPaths(runDir).tpm }));
    chmodSync(path, 0o600);
    chownSync(path, ids.rootId, ids.rootId);
    return server;
  }

  #prepareFiles(): { exchange: string; nameFiles: string } {
    const { order, layout, instance, root } = this.#context;
    const exchange = join(this.#directory, "exchange");
    const nameFiles = join(this.#directory, "names");
    rmSync(this.#directory, { recursive: true, force: true });
    for (const directory of [exchange, nameFiles]) mkdirSync(directory, { recursive: true });
    chownSync(exchange, order.ids.rootId, order.ids.rootId);
    writeFileSync(join(exchange, "workload"), encodeWorkload(workloadOf(root)), { mode: 0o644 });
    const { nameServer, searchDomains } = layout;
    const files = {
      "resolv.conf": `nameserver ${nameServer}\nsearch ${searchDomains.join(" ")}\noptions ndots:5 timeout:2\n`,
      hosts: `127.0.0.1 localhost\n::1 localhost ip6-localhost\n${instance.address} ${instance.name}\n`,
      hostname: `${instance.name}\n`,
    };
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(nameFiles, name), text);
      chmodSync(join(nameFiles, name), 0o644);
    }
    return { exchange, nameFiles };
  }

  /** Inside there are two users only: root, and the one who runs the program. */
  #mapUsers(pid: number): void {
    const { order, root, instance } = this.#context;
    const program = order.ids.firstProgramId + instance.index;
    const map = (id: number) => `0 ${order.ids.rootId} 1\n${id === 0 ? "" : `${id} ${program} 1\n`}`;
    writeFileSync(`/proc/${pid}/gid_map`, map(root.user.gid));
    writeFileSync(`/proc/${pid}/uid_map`, map(root.user.uid));
  }

  async #watchReadiness(file: string, ended: AbortSignal): Promise<void> {
    const { service, instance } = this.#context;
    while (!ended.aborted) {
      if (existsSync(file)) {
        if (this.#state === "starting") this.#become("running");
        const { readiness } = service;
        if (readiness.mode !== "tcp" || (await acceptsConnection(instance.address, readiness.port))) {
          if (!ended.aborted) this.#become("ready");
          return;
        }
      }
      await sleep(POLL_MS);
    }
  }

  /** Process 1 of the container, as the mesh host sees it: the only child of the process that waits for it. */
  #findInit(child: ChildProcess): number | undefined {
    return readdirSync("/proc")
      .map(Number)
      .find((pid) => Number.isInteger(pid) && readStatus(pid)?.parent === child.pid);
  }

  #become(state: InstanceStatus["state"], reason?: string): void {
    if (this.#state === state && this.#reason === reason) return;
    this.#state = state;
    this.#reason = reason;
    this.#since = new Date();
    this.#context.report(this.status);
  }
}

const describe = (error: unknown): string =>
  error instanceof LocalError ? `${error.message}${error.remedy === undefined ? "" : ` (${error.remedy})`}` : String(error);

async function acceptsConnection(host: string, port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ host, port });
  socket.setTimeout(CONNECT_MS, () => resolve(false));
  socket.once("connect", () => resolve(true));
  socket.once("error", () => resolve(false));
  const accepted = await promise;
  socket.destroy();
  return accepted;
}
