import type { ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import type { Server } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { encodeWorkload } from "@vouchsafe/attestation";
import type { ServiceRecord } from "@vouchsafe/mesh";
import { meshNamespaceSteps } from "./container-steps.ts";
import { findEmbeddedCas } from "./embedded-cas.ts";
import { type EngineOrder, type HostOrder, socketPaths } from "./engine-order.ts";
import { type EngineStatus, type PublishedPort, writeEngineStatus } from "./engine-status.ts";
import { type ImageRoot, unpackRoot, workloadOf } from "./image-root.ts";
import { LocalError } from "./local-error.ts";
import type { HostEvent } from "./mesh-host.ts";
import { readAgentKey } from "./node-agent.ts";
import { identifyProcess } from "./process-identity.ts";
import { publishPort } from "./publish-port.ts";
import { relay } from "./relay.ts";
import { TOOL_PATH } from "./run-command.ts";
import { type StartedProgram, startProgram } from "./start-program.ts";
import { agentKeyFile, applicationPaths, developmentPlatformDir } from "./state-paths.ts";
import { findTpm, measureWorkload, serveTpm } from "./tpm-access.ts";
import { mapSubordinateIds, planIds } from "./user-mapping.ts";

const STOP_MS = 30_000;

/**
 * The engine of one application: a process on the machine's side. It unpacks and seals the images, carries connections between the mesh and the
 * world (the published ports, the CAS), and keeps the status file. The mesh itself runs below its child, in other namespaces.
 */
export class Engine {
  readonly #order: EngineOrder;
  readonly #paths: ReturnType<typeof applicationPaths>;
  readonly #servers: Server[] = [];
  readonly #instances = new Map<string, EngineStatus["instances"][number]>();
  #status: EngineStatus;
  #host: ChildProcess | undefined;
  #isStopping = false;

  constructor(order: EngineOrder) {
    const engine = identifyProcess(process.pid);
    if (engine === undefined) throw new LocalError("L-NAMESPACE", "/proc is not mounted", { remedy: "Mount it: mount -t proc proc /proc" });
    this.#order = order;
    this.#paths = applicationPaths(order.stateDir, order.release);
    this.#status = {
      ...{
        format: 1,
        release: order.release,
        namespace: order.record.namespace,
        targetDir: order.targetDir,
        engine,
        evidence: describeEvidence(order.record),
      },
      ...{ startedAt: new Date().toISOString(), phase: "unpacking", published: [], instances: [] },
    };
  }

  /** Resolves with the exit status when the application is over. */
  async run(): Promise<number> {
    this.#write({});
    try {
      const { child, ended } = await this.#start();
      await ended;
      if (this.#isStopping) return 0;
      throw new LocalError("L-START", `the host of the mesh ended unexpectedly (${child.signalCode ?? child.exitCode})`, {
        remedy: `See ${this.#paths.engineLog}.`,
      });
    } catch (error) {
      if (this.#isStopping) return 0;
      const { code, message, remedy } = describeFailure(error);
      this.#write({ phase: "failed", failure: { code, message, ...(remedy === undefined ? {} : { remedy }) } });
      process.stderr.write(`error: ${message}\n`);
      return 1;
    } finally {
      this.#cleanUp();
    }
  }

  /** Ends all programs with their grace period, then everything else. */
  stop(): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#write({ phase: "stopping" });
    if (this.#host === undefined) process.exit(0);
    this.#host.stdin?.write("stop\n");
    setTimeout(() => this.#host?.kill("SIGKILL"), STOP_MS).unref();
  }

  async #start(): Promise<StartedProgram> {
    const { record, release, cas, stateDir, environment } = this.#order;
    const isRootless = process.getuid?.() !== 0;
    const ids = planIds(isRootless, createHash("sha256").update(`${stateDir}\0${release}`).digest().readUInt16BE(0));
    const roots = await this.#unpack(isRootless ? undefined : ids.rootId);
    // Socket paths are limited to 107 bytes, and state directories may lie deep.
    const runDir = mkdtempSync("/tmp/vouchsafe-");
    this.#write({ phase: "starting", runDir });
    const sockets = socketPaths(runDir);
    // Asked for at each connection: a CAS that was started again may have other ports.
    this.#servers.push(
      await relay({ path: sockets.casService }, () => findEmbeddedCas(stateDir)?.service ?? { host: cas.host, port: cas.servicePort }),
    );
    this.#servers.push(
      await relay({ path: sockets.casClient }, () => findEmbeddedCas(stateDir)?.client ?? { host: cas.host, port: cas.clientPort }),
    );
    const usesTpm = await this.#offerTpm(roots, sockets.tpm);
    const wanted = record.services.flatMap(({ name, ports }) =>
      ports.filter(({ publish }) => publish).map(({ port }) => ({ service: name, port })),
    );
    const published: PublishedPort[] = [];
    for (const { service, port } of wanted) {
      const { server, address } = await publishPort(port, sockets.published(service, port));
      this.#servers.push(server);
      published.push({ service, port, address });
    }
    this.#write({ published });
    readAgentKey(agentKeyFile(stateDir)); // made here if need be: inside, the directory could not be written
    const hostOrder: HostOrder = {
      ...{ release, record, roots, ids, runDir },
      ...{
        logDir: this.#paths.logs,
        agentKeyFile: agentKeyFile(stateDir),
        developmentPlatformDir: developmentPlatformDir(stateDir),
        published: wanted,
        environment,
        usesTpm,
      },
    };
    const host = await this.#startHost(isRootless);
    this.#host = host.child;
    this.#listen(host.child);
    host.child.stdin?.write(`${JSON.stringify(hostOrder)}\n`);
    return host;
  }

  /** Where the policies accept evidence of a TPM and there is one: measures the image, and lets containers ask for quotes. */
  async #offerTpm(roots: Readonly<Record<string, ImageRoot>>, socket: string): Promise<boolean> {
    const { record, tpm } = this.#order;
    const address = record.evidence.includes("tpm") ? findTpm(tpm) : undefined;
    if (address === undefined) return false;
    const workloads = [...new Map(Object.values(roots).map((root) => [root.digest, encodeWorkload(workloadOf(root))])).values()];
    const [workload, second] = workloads;
    if (second !== undefined) {
      throw new LocalError("L-APPLICATION", `a TPM describes one image, this application has ${workloads.length}`, {
        remedy: "Apply the mesh with another kind of evidence (--evidence node), or give each image a machine of its own.",
      });
    }
    if (workload !== undefined) await measureWorkload(address, workload);
    this.#servers.push(await serveTpm(socket, address));
    return true;
  }

  async #unpack(owner: number | undefined): Promise<Record<string, ImageRoot>> {
    mkdirSync(this.#paths.roots, { recursive: true, mode: 0o700 });
    const { services } = this.#order.record;
    const images = [...new Map(services.map((service) => [service.image.digest, service])).values()];
    const roots = new Map<string, ImageRoot>();
    const next = images[Symbol.iterator]();
    // Decompression and disk take turns: two at a time are faster than one, more are not.
    const lane = async () => {
      for (const service of next) roots.set(service.image.digest, await this.#unpackOne(service, owner));
    };
    await Promise.all([lane(), lane()]);
    return Object.fromEntries(
      services.flatMap(({ name, image }) => {
        const root = roots.get(image.digest);
        return root === undefined ? [] : [[name, root]];
      }),
    );
  }

  async #unpackOne({ name, image, fileSystemTag }: ServiceRecord, owner: number | undefined): Promise<ImageRoot> {
    const { reference, digest, layoutDir } = image;
    if (layoutDir === undefined) {
      throw new LocalError("L-APPLICATION", `image ${reference} of service ${name} is in a registry only`, {
        remedy: "Apply the service without --no-pull, or pull the image into the local repository.",
      });
    }
    const directory = join(this.#paths.roots, digest.replace("sha256:", ""));
    rmSync(directory, { recursive: true, force: true });
    return unpackRoot({ reference, digest, layoutDir, directory, owner, fileSystemTag });
  }

  #startHost(isRootless: boolean): Promise<StartedProgram> {
    const steps = meshNamespaceSteps({
      isRootless,
      program: process.execPath,
      argv: [process.execPath, "--disable-sigusr1", fileURLToPath(import.meta.resolve("./mesh-host-main.ts"))],
      environment: { PATH: TOOL_PATH },
    });
    return startProgram(steps, { u: (pid) => mapSubordinateIds(pid) }, ["pipe", "pipe", "inherit"]);
  }

  #listen(host: ChildProcess): void {
    const identity = host.pid === undefined ? undefined : identifyProcess(host.pid);
    if (identity !== undefined) this.#write({ meshHost: identity });
    host.stdin?.on("error", () => {}); // its exit says more
    if (host.stdout === null) return;
    createInterface({ input: host.stdout }).on("line", (line) => {
      const event: HostEvent = JSON.parse(line); // the mesh host is part of this program
      if (event.type === "up") this.#write({ phase: "up" });
      else if (event.type === "instance") {
        this.#instances.set(event.status.name, event.status);
        this.#write({ instances: [...this.#instances.values()] });
      } else process.stderr.write(`error: ${event.message}\n`);
    });
  }

  #write(change: Partial<EngineStatus>): void {
    this.#status = { ...this.#status, ...change };
    writeEngineStatus(this.#paths.status, this.#status);
  }

  #cleanUp(): void {
    for (const server of this.#servers) server.close();
    if (this.#status.runDir !== undefined) rmSync(this.#status.runDir, { recursive: true, force: true });
  }
}

/** As `--evidence` spells it. */
const describeEvidence = ({ evidence, simulates }: EngineOrder["record"]): string =>
  evidence.map((kind) => (kind === "simulated" && simulates !== undefined ? `simulated:${simulates}` : kind)).join(", ");

function describeFailure(error: unknown): { code: string; message: string; remedy?: string } {
  if (!(error instanceof Error)) return { code: "L-START", message: String(error) };
  const code = "code" in error && typeof error.code === "string" ? error.code : "L-START";
  const remedy = "remedy" in error && typeof error.remedy === "string" ? error.remedy : undefined;
  return { code, message: error.message, ...(remedy === undefined ? {} : { remedy }) };
}
