import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CasClient } from "@vouchsafe/protocol";
import { z } from "zod";
import { Cluster } from "../cluster/cluster.ts";
import { NODE_LABELS } from "../objects/las-objects.ts";
import { DEVICE_RESOURCES } from "../objects/platform-object.ts";
import { defineResources, missingForApiServer, startApiServer } from "../testing/api-server.ts";
import { judgeWithoutCollateral } from "../testing/judge-without-collateral.ts";
import { Operator } from "./operator.ts";

const Node = z.object({
  metadata: z.object({ labels: z.record(z.string(), z.string()).default({}) }),
  status: z.object({ capacity: z.record(z.string(), z.string()).default({}) }).prefault({}),
});

test("CL-64, CL-65: what the operator wrote on nodes goes with the resource that wanted it, also when no operator ran then", async (t) => {
  const missing = missingForApiServer();
  if (missing !== undefined) return t.diagnostic(`not run: ${missing}`);
  const server = await startApiServer();
  t.after(() => server.stop());
  const cluster = new Cluster(server.config);
  await defineResources(cluster);
  const header = { apiVersion: "v1", kind: "Node", metadata: { name: "n1" } };
  // Left by an operator that is gone, as the LAS is.
  await cluster.apply({ ...header, metadata: { name: "n1", labels: { ...NODE_LABELS, other: "stays" } } });
  await cluster.merge(header, { status: { capacity: { cpu: "4" } } }, "status"); // as a kubelet says when it registers its node
  const node = async () => Node.parse(await cluster.find(header));
  const plugin = { apiVersion: "base.scone.cloud/v1beta1", kind: "SGXPlugin", metadata: { name: "sgxplugin" } };
  await eventually(() =>
    cluster.apply({ ...plugin, spec: { autoUpdate: true } }).then(
      () => true,
      () => false,
    ),
  ); // until the kind is served

  const stop = new AbortController();
  const settings = {
    ...{
      casImage: "cas",
      lasImage: "las",
      operator: { namespace: "scone-system", pod: "operator-a" },
      now: () => new Date(),
      judge: judgeWithoutCollateral,
    },
    connect: (host: string, port: number) => new CasClient({ host, port, pin: {}, timeoutMs: 1_000 }),
  };
  const failures: string[] = [];
  const operator = new Operator(cluster, settings, (event, fields) => {
    if (event === "reconcile_failed") failures.push(String(fields?.["reason"]));
  });
  const running = operator.run(stop.signal);
  t.after(async () => {
    stop.abort();
    await running;
  });
  await eventually(async () => (await node()).status.capacity[DEVICE_RESOURCES[0]] === "100");
  await eventually(async () => Object.keys((await node()).metadata.labels).join() === "other");
  await eventually(async () => /"without effect: autoUpdate /.test(JSON.stringify(await cluster.find(plugin))));
  await cluster.remove(plugin);
  await eventually(async () => {
    const { capacity } = (await node()).status;
    return DEVICE_RESOURCES.every((resource) => capacity[resource] === undefined);
  });

  // A status that differs at each look must not bring the next look at once.
  const cas = { apiVersion: "services.scone.cloud/v1beta1", kind: "CAS", metadata: { name: "cas", namespace: "default" } };
  await cluster.apply({ ...cas, spec: {} });
  const versionOf = async () =>
    z.object({ metadata: z.object({ resourceVersion: z.string() }) }).parse(await cluster.find(cas)).metadata.resourceVersion;
  await sleep(2_000);
  const versions = new Set<string>();
  for (let count = 0; count < 20; count++) {
    versions.add(await versionOf());
    await sleep(100);
  }
  assert(versions.size <= 2, `${versions.size} versions of the resource within two seconds`);
  assert.deepEqual(failures, []);
  const events = JSON.stringify(await cluster.list({ apiVersion: "v1", kind: "Event", namespace: "default" }));
  assert.match(events, /the pod has not been created yet/, "a change of state is an event");
  return undefined;
});

async function eventually(holds: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt++) {
    if (await holds()) return;
    await sleep(100);
  }
  assert.fail("it did not happen within 30 s");
}
