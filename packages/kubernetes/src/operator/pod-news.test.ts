import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CasClient } from "@vouchsafe/protocol";
import { z } from "zod";
import { CHANGED_ANNOTATION } from "../objects/changed-annotation.ts";
import { componentLabels } from "../objects/platform-object.ts";
import { freePort, missingForApiServer } from "../testing/api-server.ts";
import { judgeWithoutCollateral } from "../testing/judge-without-collateral.ts";
import { startOperatorServer } from "../testing/operator-server.ts";
import { Operator } from "./operator.ts";
import { readPodNews } from "./pod-news.ts";

const HOUR_MS = 3_600_000;
const container = { name: "cas", image: "cas", imageID: "", restartCount: 0 };
const READY = { phase: "Running", containerStatuses: [{ ...container, ready: true, state: { running: {} } }] };
const CRASHED = {
  phase: "Running",
  containerStatuses: [{ ...container, ready: false, state: { waiting: { reason: "CrashLoopBackOff", message: "" } } }],
};
const podOf = (name: string, instance: string, status: object = {}) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: `${instance}-0`, namespace: "team", uid: "1", labels: componentLabels(name, instance) },
  status,
});

test("a pod is news for the resource it belongs to, when it means something else than before", () => {
  const { uid, kind, namespace, name } = readPodNews(podOf("cas", "vault"));
  assert.deepEqual([uid, kind, namespace, name], ["1", "CAS", "team", "vault"]);
  const agent = readPodNews(podOf("las", "las"));
  assert.deepEqual([agent.kind, agent.namespace, agent.name], ["LAS", "", "las"]);
  assert.equal(readPodNews(podOf("cas-backup", "vault")).kind, "CAS");
  const stateOf = (status: object) => readPodNews(podOf("cas", "vault", status)).state;
  assert.equal(new Set([{}, READY, CRASHED].map(stateOf)).size, 3);
  assert.equal(stateOf({ ...READY, startTime: "2026-01-01T00:00:00Z" }), stateOf(READY));
});

const Seen = z.object({
  metadata: z.object({ uid: z.string() }),
  status: z
    .object({ state: z.string().default(""), readyReplicas: z.number().default(-1), observedPod: z.string().nullish() })
    .prefault({}),
});

test("the operator looks at a CAS when its pod changes, and when its owner changed it: not when its turn comes", async (t) => {
  const missing = missingForApiServer();
  if (missing !== undefined) return t.diagnostic(`not run: ${missing}`);
  const { cluster, stop, working } = await startOperatorServer(t);
  const port = await freePort();
  let questions = 0;
  const operator = new Operator(
    cluster,
    {
      casImage: "cas",
      lasImage: "las",
      operator: { namespace: "scone-system", pod: "operator-a" },
      connect: () => {
        questions += 1;
        return new CasClient({ host: "127.0.0.1", port, pin: {}, timeoutMs: 5_000 }); // nobody is there
      },
      judge: judgeWithoutCollateral,
      now: () => new Date(),
      nextLookMs: { HEALTHY: HOUR_MS, PENDING: HOUR_MS, UNHEALTHY: HOUR_MS },
    },
    () => undefined,
  );
  working.push(operator.run(stop));
  await cluster.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "team" } });
  const spec = { containers: [{ name: "cas", image: "cas" }] };
  // Somebody's, with our labels and no resource: it must not keep the operator from the news of others.
  const { "app.kubernetes.io/instance": _, ...nobodys } = componentLabels("cas", "");
  await cluster.create({ apiVersion: "v1", kind: "Pod", metadata: { name: "strange", namespace: "team", labels: nobodys }, spec });
  const cas = { apiVersion: "services.scone.cloud/v1beta1", kind: "CAS", metadata: { name: "vault", namespace: "team" }, spec: {} };
  await cluster.apply(cas);
  const look = async () => Seen.parse(await cluster.find(cas)).status;
  const becomes = async (what: string, holds: (seen: Awaited<ReturnType<typeof look>>) => boolean) => {
    for (let attempt = 0; attempt < 600; attempt++) {
      if (holds(await look())) return;
      await sleep(100);
    }
    assert.fail(`${what}: ${JSON.stringify(await look())}`);
  };
  await becomes("no pod yet", ({ state, readyReplicas }) => state === "PENDING" && readyReplicas === 0);

  const { metadata, ...header } = podOf("cas", "vault");
  const pod = { ...header, metadata: { ...metadata, uid: undefined }, spec };
  await cluster.create(JSON.parse(JSON.stringify(pod)));
  const { uid } = Seen.parse(await cluster.find(pod)).metadata;
  await becomes("the pod is seen", ({ observedPod }) => observedPod === uid);
  await cluster.merge(pod, { status: READY }, "status");
  await becomes("it is ready", ({ readyReplicas }) => readyReplicas === 1);

  const before = questions;
  await cluster.merge(cas, { metadata: { annotations: { [CHANGED_ANNOTATION]: "2026-01-01T00:00:00Z" } } });
  for (let attempt = 0; questions === before; attempt++) {
    assert(attempt < 600, "the owner's change is seen");
    await sleep(100);
  }

  await cluster.merge(pod, { status: CRASHED }, "status");
  await becomes("it fails", ({ state }) => state === "UNHEALTHY");
  await cluster.remove(pod);
  await becomes("it is gone", ({ state, readyReplicas }) => state === "PENDING" && readyReplicas === 0);
  return undefined;
});
