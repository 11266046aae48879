import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { SoftwarePlatform } from "@vouchsafe/cas";
import { readStatus, reapChild } from "@vouchsafe/linux";
import { Container } from "./container.ts";
import { type HostOrder, socketPaths } from "./engine-order.ts";
import type { InstanceStatus } from "./engine-status.ts";
import { LogFile } from "./log-file.ts";
import { CAS_PORTS, layOutMesh, MESH_NETWORK } from "./mesh-layout.ts";
import { createBridge } from "./mesh-network.ts";
import { serveNames } from "./name-server.ts";
import { readAgentKey } from "./node-agent.ts";
import { relay } from "./relay.ts";

const DNS_PORT = 53;
const REAP_MS = 5_000;

/** Told to the engine, one JSON object a line. */
export type HostEvent =
  | { readonly type: "up" }
  | { readonly type: "instance"; readonly status: InstanceStatus }
  | { readonly type: "failed"; readonly message: string };

const tell = (event: HostEvent): void => {
  process.stdout.write(`${JSON.stringify(event)}\n`);
};

/** Brings the mesh's network up and starts all instances. */
export async function runMeshHost(order: HostOrder): Promise<{ stop: () => Promise<void> }> {
  const { record, release, runDir } = order;
  const layout = layOutMesh(record, release);
  await createBridge(layout.nameServer);
  await serveNames(layout.zone, layout.nameServer, DNS_PORT);
  const sockets = socketPaths(runDir);
  await relay({ host: MESH_NETWORK.gateway, port: CAS_PORTS.service }, () => ({ path: sockets.casService }));
  await relay({ host: MESH_NETWORK.gateway, port: CAS_PORTS.client }, () => ({ path: sockets.casClient }));
  for (const { service, port } of order.published) {
    const addresses = layout.instances.filter((instance) => instance.service === service).map(({ address }) => address);
    let next = 0;
    await relay({ path: sockets.published(service, port) }, () => ({
      host: addresses[next++ % addresses.length] ?? MESH_NETWORK.gateway,
      port,
    }));
  }
  const agentKey = readAgentKey(order.agentKeyFile);
  const { simulates } = record;
  const platform = simulates === undefined ? undefined : new SoftwarePlatform(order.developmentPlatformDir, simulates);
  mkdirSync(order.logDir, { recursive: true, mode: 0o700 });
  const containers = layout.instances.map((instance) => {
    const service = record.services.find(({ name }) => name === instance.service);
    const root = order.roots[instance.service];
    if (service === undefined || root === undefined) throw new TypeError(`the order has no service ${instance.service}`);
    const log = new LogFile(join(order.logDir, `${instance.name}.log`));
    return new Container({
      order,
      layout,
      instance,
      service,
      root,
      agentKey,
      platform,
      log,
      report: (status) => tell({ type: "instance", status }),
    });
  });
  tell({ type: "up" });
  for (const container of containers) {
    tell({ type: "instance", status: container.status });
    container.run();
  }
  let zombies: ReadonlySet<number> = new Set();
  setInterval(() => {
    zombies = reapOldZombies(zombies);
  }, REAP_MS).unref();
  return { stop: async () => void (await Promise.all(containers.map((container) => container.stop()))) };
}

/**
 * Process 1 inherits what the containers' helpers leave behind. Node waits for its own children within milliseconds, so whoever was dead at the
 * last look already is nobody's. Returns the dead of today.
 */
function reapOldZombies(before: ReadonlySet<number>): ReadonlySet<number> {
  const zombies = readdirSync("/proc")
    .map(Number)
    .filter((pid) => {
      const status = Number.isInteger(pid) ? readStatus(pid) : undefined;
      return status?.state === "Z" && status.parent === process.pid;
    });
  for (const pid of zombies) if (before.has(pid)) reapChild(pid);
  return new Set(zombies);
}
