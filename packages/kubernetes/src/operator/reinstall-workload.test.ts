import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CasClient } from "@vouchsafe/protocol";
import { z } from "zod";
import { missingForApiServer } from "../testing/api-server.ts";
import { judgeWithoutCollateral } from "../testing/judge-without-collateral.ts";
import { startOperatorServer } from "../testing/operator-server.ts";
import { Operator } from "./operator.ts";

const CAS = { apiVersion: "services.scone.cloud/v1beta1", kind: "CAS", metadata: { name: "cas", namespace: "default" } };
const SET = { apiVersion: "apps/v1", kind: "StatefulSet", metadata: { name: "cas", namespace: "default" } };
const POD = { apiVersion: "v1", kind: "Pod", metadata: { name: "cas-0", namespace: "default" } };
const Seen = z.object({
  status: z
    .object({
      state: z.string().optional(),
      conditions: z.array(z.object({ type: z.string(), status: z.string(), reason: z.string(), message: z.string() })).default([]),
    })
    .prefault({}),
});
const StatefulSet = z.object({
  metadata: z.object({ uid: z.string(), finalizers: z.array(z.string()).default([]) }),
  spec: z.object({
    volumeClaimTemplates: z.array(
      z.object({
        metadata: z.object({ name: z.string() }),
        spec: z.object({ resources: z.object({ requests: z.object({ storage: z.string() }) }) }),
      }),
    ),
  }),
});

test("CL 10.1, reinstallOnFatal: a StatefulSet that cannot be changed is made anew when that is wanted and loses no database", async (t) => {
  const missing = missingForApiServer();
  if (missing !== undefined) return t.diagnostic(`not run: ${missing}`);
  const { cluster, stop, working } = await startOperatorServer(t);
  const operator = new Operator(
    cluster,
    {
      ...{ casImage: "r/cas:1", lasImage: "las", operator: { namespace: "scone-system", pod: "operator-a" } },
      connect: (host, port) => new CasClient({ host, port, pin: {}, timeoutMs: 1_000 }),
      judge: judgeWithoutCollateral,
      now: () => new Date(),
    },
    () => undefined,
  );
  working.push(operator.run(stop));
  const find = async () => StatefulSet.safeParse(await cluster.find(SET)).data;
  const reconciled = async () =>
    Seen.parse((await cluster.find(CAS)) ?? {}).status.conditions.find(({ type }) => type === "Reconciled") ?? { reason: "", message: "" };
  const until = async (what: string, holds: () => Promise<boolean>) => {
    for (let attempt = 0; attempt < 600; attempt++, await sleep(100)) if (await holds()) return;
    assert.fail(`${what} did not happen within a minute: ${JSON.stringify(await reconciled())}`);
  };
  const sizeOf = (set: z.infer<typeof StatefulSet> | undefined) => set?.spec.volumeClaimTemplates[0]?.spec.resources.requests.storage;
  await until("the definition is served", () =>
    cluster.apply({ ...CAS, spec: { persistence: { enabled: true } } }).then(
      () => true,
      () => false,
    ),
  );
  await until("the StatefulSet is made", async () => (await find()) !== undefined);
  const first = (await find())?.metadata.uid;
  await cluster.apply({ ...POD, spec: { containers: [{ name: "cas", image: "r/cas:1" }] } });

  await cluster.merge(CAS, { spec: { persistence: { size: "2Gi" } } });
  await until("the refusal is told", async () => (await reconciled()).reason === "Refused");
  assert.match(
    (await reconciled()).message,
    /to have it made anew: spec\.reinstallOnFatal, or: kubectl delete statefulset cas -n default --cascade=orphan/,
  );
  assert.equal((await find())?.metadata.uid, first);

  await cluster.merge(CAS, { spec: { reinstallOnFatal: true } });
  await until("it is taken away, or made anew", async () => {
    const present = await find();
    // No controller runs here that would let go of the pod and of the set: the test does its part.
    if (present?.metadata.finalizers.includes("orphan") === true)
      await cluster.merge(SET, { metadata: { finalizers: null } }).catch(() => undefined);
    return present !== undefined && present.metadata.uid !== first && sizeOf(present) === "2Gi";
  });
  assert.notEqual(await cluster.find(POD), undefined, "the pod serves on");
  await until("all is well", async () => (await reconciled()).reason === "Applied");
  const second = (await find())?.metadata.uid;

  await cluster.merge(CAS, { spec: { persistence: { enabled: false } } });
  await until("what would lose the database is refused", async () => /not reinstalled/.test((await reconciled()).message));
  assert.match((await reconciled()).message, /it would start without the volume that holds its database/);
  assert.equal((await find())?.metadata.uid, second);
  await cluster.merge(CAS, { spec: { persistence: { enabled: true } } });
  await until("the former wish is honoured again", async () => (await reconciled()).reason === "Applied");
  return undefined;
});
