import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startCas } from "@vouchsafe/cas";
import { CasClient } from "@vouchsafe/protocol";
import { z } from "zod";
import { createTestClient } from "../../../cas/src/testing/test-cas.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { BackupRecord } from "../custom-resources/resources.ts";
import { CAS_POD_PORTS } from "../objects/cas-configuration.ts";
import { OPERATOR_NAME, planOperatorRights } from "../objects/operator-rights.ts";
import { readClusterIssuer } from "../provision/cluster-issuer.ts";
import { missingForApiServer } from "../testing/api-server.ts";
import { asAccount, boundPod } from "../testing/as-account.ts";
import { judgeWithoutCollateral } from "../testing/judge-without-collateral.ts";
import { startOperatorServer } from "../testing/operator-server.ts";
import { Operator } from "./operator.ts";

const PLATFORM = "scone-system";
const CAS = { apiVersion: "services.scone.cloud/v1beta1", kind: "CAS", metadata: { name: "cas", namespace: PLATFORM } };
const Status = z.object({
  status: z
    .object({
      state: z.string().optional(),
      phase: z.string().optional(),
      migrationNodeRatio: z.string().optional(),
      migrationNodeAlert: z.number().optional(),
      backups: z.record(z.string(), BackupRecord).default({}),
      conditions: z.array(z.object({ type: z.string(), status: z.string(), reason: z.string(), message: z.string() })).default([]),
    })
    .prefault({}),
});
const Job = z.object({
  metadata: z.object({ name: z.string(), labels: z.record(z.string(), z.string()) }),
  spec: z.object({
    template: z.object({
      spec: z.object({
        containers: z.array(z.object({ image: z.string(), args: z.array(z.string()) })),
        affinity: z.object({
          nodeAffinity: z.object({
            requiredDuringSchedulingIgnoredDuringExecution: z.object({
              nodeSelectorTerms: z.array(z.object({ matchFields: z.array(z.object({ values: z.array(z.string()) })) })),
            }),
          }),
        }),
      }),
    }),
  }),
});
type Job = z.infer<typeof Job>;
const nodeOf = (job: Job): string | undefined =>
  job.spec.template.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]?.matchFields[0]
    ?.values[0];

/** Loopback addresses of this test alone: pods listen on one port, each at an address of its own. */
const block = `127.${randomInt(1, 255)}.${randomInt(0, 256)}`;
const addressOf = (node: string): string => `${block}.${10 + Number(node.slice(1))}`;

test("C-75: the operator registers every node as a backup, again when it changes, and new ones within 60 s; the owner's key is nowhere", async (t) => {
  const reason = missingForApiServer();
  if (reason !== undefined) return t.diagnostic(`not run: ${reason}`);
  const { cluster: admin, stop, working } = await startOperatorServer(t);
  await admin.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: PLATFORM } });
  for (const object of planOperatorRights(PLATFORM)) await admin.apply(object);
  await admin.apply(boundPod("operator-a", PLATFORM, OPERATOR_NAME, "n1"));
  const cluster = await asAccount(admin, PLATFORM, OPERATOR_NAME, "operator-a");

  const machines = new Machines(t);
  const owner = createTestClient();
  const primary = await machines.start("n1", { config: "", owner: { keyHash: owner.keyHash, pem: owner.certificate } });
  const asOwner = new CasClient({ ...primary, pin: {}, clientIdentity: owner });
  t.after(() => asOwner.close());
  const issuer = (await readClusterIssuer(admin, PLATFORM, OPERATOR_NAME)) ?? assert.fail("the cluster names its token keys");
  await asOwner.putBackupIssuer(issuer);
  const backups = async () => (await asOwner.registeredInstances()).map(({ name }) => name);

  const node = async (name: string, bootID: string, spec: object = {}) => {
    const header = { apiVersion: "v1", kind: "Node", metadata: { name } };
    await admin.apply({ ...header, spec });
    const nodeInfo = { ...NODE_INFO, bootID, machineID: name, systemUUID: name };
    await admin.merge(
      header,
      { status: { nodeInfo, conditions: [{ type: "Ready", status: "True", reason: "r", message: "m" }] } },
      "status",
    );
  };
  await node("n1", "boot-1");
  await node("n2", "boot-1");
  await node("n3", "boot-1", { unschedulable: true });
  await untilDone(() =>
    admin.apply({ ...CAS, spec: { persistence: { enabled: true }, image: "r/cas:1", "backup-controller": { enabled: true } } }).then(
      () => true,
      () => false,
    ),
  );
  await playPod(admin, "cas-0", "n1", { "app.kubernetes.io/name": "cas" }, "127.0.0.1");
  const failures: string[] = [];
  const operator = new Operator(
    cluster,
    {
      ...{
        casImage: "cas",
        lasImage: "las",
        operator: { namespace: PLATFORM, pod: "operator-a" },
        now: () => new Date(),
        judge: judgeWithoutCollateral,
      },
      connect: (host, port) => new CasClient({ ...(host.startsWith("cas.") ? primary : { host, port }), pin: {}, timeoutMs: 5_000 }),
    },
    (event, fields) => {
      if (event === "reconcile_failed") failures.push(String(fields?.["reason"]));
    },
  );
  working.push(operator.run(stop), playKubelets(admin, machines, stop));
  /** Another wish is looked at at once, not after half a minute. */
  let nudges = 0;
  const nudge = () => admin.merge(CAS, { spec: { podAnnotations: { nudge: String(++nudges) } } });
  const status = async () => Status.parse(await admin.find(CAS)).status;
  const backupsCondition = async () => (await status()).conditions.find(({ type }) => type === "BackupsRegistered");

  await untilDone(async () => (await backupsCondition())?.status === "True");
  const first = await status();
  assert.deepEqual([first.state, first.phase, first.migrationNodeRatio, first.migrationNodeAlert], ["HEALTHY", "HEALTHY", "2/2", 0]);
  assert.deepEqual([Object.keys(first.backups).toSorted(), await backups()], [["n1", "n2"], ["n2"]], "the CAS runs on n1 itself");

  await node("n4", "boot-1");
  const joined = Date.now();
  await untilDone(async () => (await backups()).includes("n4"));
  assert.ok(Date.now() - joined < 60_000, `a new node took ${Date.now() - joined} ms`);

  await node("n2", "boot-2");
  await nudge();
  await untilDone(async () => (await status()).backups["n2"]?.bootID === "boot-2");
  const before = (await status()).backups["n4"]?.instanceKey;
  await machines.replace("n4");
  await admin.remove({ apiVersion: "v1", kind: "Node", metadata: { name: "n4" } });
  await node("n4", "boot-1");
  await nudge();
  await untilDone(
    async () =>
      (await status()).backups["n4"]?.instanceKey !== undefined &&
      (await status()).backups["n4"]?.instanceKey !== before &&
      (await backupsCondition())?.status === "True",
  );
  assert.deepEqual([(await backups()).toSorted(), (await status()).migrationNodeRatio], [["n2", "n4"], "3/3"]);

  await asOwner.removeBackupIssuer(issuer.issuer);
  await node("n5", "boot-1");
  await admin.remove({ apiVersion: "v1", kind: "Node", metadata: { name: "n2" } });
  await nudge();
  await untilDone(async () => (await backupsCondition())?.reason === "Refused" && !("n2" in (await status()).backups));
  assert.match((await backupsCondition())?.message ?? "", /2 of 3 nodes [^;]*; n5: .*has allowed no cluster/);
  assert.equal((await status()).state, "HEALTHY", "the CAS serves all the same");
  assert.deepEqual(failures, []);
  return undefined;
});

/** Nodes with a platform key each, on which a CAS shows itself where a pod would run. */
class Machines {
  readonly #t: TestContext;
  readonly #root: string;
  readonly #running = new Map<string, AsyncDisposable>();
  readonly #generation = new Map<string, number>();

  constructor(t: TestContext) {
    this.#t = t;
    this.#root = mkdtempSync(join(tmpdir(), "vouchsafe-nodes-"));
    t.after(async () => {
      for (const cas of this.#running.values()) await cas[Symbol.asyncDispose]();
      rmSync(this.#root, { recursive: true, force: true });
    });
  }

  async start(node: string, selfProvision?: Parameters<typeof startCas>[0]["selfProvision"]) {
    const role = selfProvision === undefined ? "waiting" : "primary";
    const port = role === "waiting" ? CAS_POD_PORTS.client : 0;
    const generation = this.#generation.get(node) ?? 0;
    const cas = await startCas({
      databasePath: join(this.#root, `${node}-${role}-${generation}`, "cas.db"),
      platformKeyPath: join(this.#root, `${node}-${generation}`, "platform.key"),
      anchorPath: join(this.#root, `${node}-${role}-${generation}`, "anchor"),
      clientListen: { host: addressOf(node), port },
      serviceListen: { host: "127.0.0.1", port: 0 },
      selfProvision,
      writeLine: () => undefined,
    });
    this.#running.set(`${node}-${role}`, cas);
    return cas.clientAddress;
  }

  /** Another machine with the same name, whose platform key is another one. */
  async replace(node: string): Promise<void> {
    await this.#running.get(`${node}-waiting`)?.[Symbol.asyncDispose]();
    this.#generation.set(node, (this.#generation.get(node) ?? 0) + 1);
    await this.start(node);
    this.#t.diagnostic(`${node} is another machine`);
  }
}

/** What the Job controller and the kubelets would do: a pod for each Job, on the one node that it may run on. */
async function playKubelets(admin: Cluster, machines: Machines, signal: AbortSignal): Promise<void> {
  const seen = new Set<string>();
  while (!signal.aborted) {
    for (const found of await admin.list({ apiVersion: "batch/v1", kind: "Job", namespace: PLATFORM })) {
      const job = Job.parse(found);
      const node = nodeOf(job);
      if (seen.has(job.metadata.name) || node === undefined) continue;
      seen.add(job.metadata.name);
      const [container] = job.spec.template.spec.containers;
      assert.equal(container?.image, "r/cas:1");
      await machines.start(node);
      await playPod(admin, `${job.metadata.name}-x`, node, job.metadata.labels, addressOf(node));
    }
    await sleep(200);
  }
}

async function playPod(admin: Cluster, name: string, node: string, labels: Record<string, string>, podIP: string): Promise<void> {
  const header = { apiVersion: "v1", kind: "Pod", metadata: { name, namespace: PLATFORM, labels } };
  await admin.apply({ ...header, spec: { nodeName: node, containers: [{ name: "cas", image: "r/cas:1" }] } });
  const container = { name: "cas", ready: true, restartCount: 0, image: "r/cas:1", imageID: "", state: { running: {} } };
  await admin.merge(header, { status: { phase: "Running", podIP, podIPs: [{ ip: podIP }], containerStatuses: [container] } }, "status");
}

const NODE_INFO = {
  ...{ architecture: "amd64", containerRuntimeVersion: "x", kernelVersion: "x", kubeProxyVersion: "", kubeletVersion: "x" },
  ...{ operatingSystem: "linux", osImage: "x" },
};

async function untilDone(holds: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 120_000; Date.now() < end; await sleep(250)) if (await holds()) return;
  assert.fail("it did not happen within two minutes");
}
