import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startCas } from "@vouchsafe/cas";
import { CasClient } from "@vouchsafe/protocol";
import { z } from "zod";
import { Cluster } from "../cluster/cluster.ts";
import { CUSTOM_RESOURCE_DEFINITIONS } from "../custom-resources/definitions.ts";
import { freePort, missingForApiServer, startApiServer } from "../testing/api-server.ts";
import { Operator } from "./operator.ts";

const Status = z.object({
  status: z
    .object({
      state: z.string().optional(),
      conditions: z.array(z.object({ reason: z.string(), message: z.string() })).default([]),
    })
    .prefault({}),
});

test("CL-70, CL-71: policies are sent to a real CAS, and their resources say what came of it", async (t) => {
  const missing = missingForApiServer();
  if (missing !== undefined) return t.diagnostic(`not run: ${missing}`);
  const server = await startApiServer();
  t.after(() => server.stop());
  const cluster = new Cluster(server.config);
  for (const definition of CUSTOM_RESOURCE_DEFINITIONS) await cluster.apply({ ...definition });
  const directory = await mkdtemp(join(tmpdir(), "operator-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const port = await freePort();
  const stop = new AbortController();
  const operator = new Operator(
    cluster,
    {
      casImage: "cas",
      lasImage: "las",
      operator: { namespace: "scone-system", pod: "operator-a" },
      connect: () => new CasClient({ host: "127.0.0.1", port, pin: {}, timeoutMs: 5_000 }),
      now: () => new Date(),
    },
    () => undefined,
  );
  const running = operator.run(stop.signal);
  t.after(async () => {
    stop.abort();
    await running;
  });
  const policy = (kind: string, name: string, spec: object) => ({
    apiVersion: "cas.scone.cloud/v1beta1",
    kind,
    metadata: { name, namespace: "default" },
    spec: { casAddress: "https://cas.default:8081", ...spec },
  });
  const encrypted = policy("EncryptedPolicy", "encrypted", { policy: "AAAA", encryptionKey: "ab".repeat(32) });
  const signed = policy("SignedPolicy", "signed", { policy: "name: x", signatures: [] });
  await eventually(async () => (await cluster.listAt(encrypted)).resourceVersion !== "");
  const statusOf = async (object: typeof encrypted) => Status.parse(await cluster.find(object)).status;

  await cluster.apply(encrypted);
  await eventually(async () => (await statusOf(encrypted)).state === "PENDING");
  assert.equal((await statusOf(encrypted)).conditions[0]?.reason, "CAS_UNREACHABLE");

  const cas = await startCas({
    databasePath: join(directory, "cas.db"),
    platformKeyPath: join(directory, "platform.key"),
    clientListen: { host: "127.0.0.1", port },
    serviceListen: { host: "127.0.0.1", port: 0 },
    selfProvision: { config: "" },
    writeLine: () => undefined,
  });
  t.after(() => cas[Symbol.asyncDispose]());
  await eventually(async () => (await statusOf(encrypted)).state === "FAILED");
  assert.match((await statusOf(encrypted)).conditions[0]?.message ?? "", /encrypted for another CAS/);
  await cluster.apply(signed);
  await eventually(async () => (await statusOf(signed)).state === "FAILED");
  const events = await cluster.list({ apiVersion: "v1", kind: "Event", namespace: "default" });
  assert(
    events.some((event) => JSON.stringify(event).includes('"name":"signed"')),
    "a refusal is an event too",
  );
  return undefined;
});

async function eventually(holds: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt++) {
    if (await holds()) return;
    await sleep(100);
  }
  assert.fail("it did not happen within 30 s");
}
