import assert from "node:assert/strict";
import { test } from "node:test";
import { type Cluster, ClusterError, type Header } from "../cluster/cluster.ts";
import { untilHealthy } from "./provision-cas.ts";

const CAS = { name: "cas", namespace: "ns" };
const { signal } = new AbortController();
const condition = { type: "Serving", status: "True", reason: "Serving", message: "m", lastTransitionTime: "2026-11-28T12:00:00Z" };
const healthy = (more: object) => ({
  metadata: { generation: 2 },
  status: { state: "HEALTHY", observedGeneration: 2, conditions: [condition], ...more },
});

/** A cluster of which the pod and the resource are asked for: each time the next answer, and the last one for ever. */
function clusterWith(resources: object[], pod: object | Error = { metadata: { name: "cas-0", namespace: "ns", uid: "new" } }) {
  const looks = { count: 0 };
  const find = async ({ kind }: Header) => {
    if (kind === "Pod") {
      if (pod instanceof Error) throw pod;
      return pod;
    }
    looks.count += 1;
    return resources.length > 1 ? resources.shift() : resources[0];
  };
  return { looks, cluster: { find } as unknown as Cluster };
}

test("CL-46: HEALTHY counts once the operator has looked at the pod that there is now, with this wish", async () => {
  const { cluster, looks } = clusterWith([
    healthy({ observedPod: "old" }),
    healthy({ observedPod: "new", observedGeneration: 1 }),
    healthy({ observedPod: "new" }),
  ]);
  await untilHealthy(cluster, CAS, 60_000, signal);
  assert.equal(looks.count, 3);
});

test("CL-46: what was seen of a former pod is no reason, and no success", async () => {
  const { cluster } = clusterWith([healthy({ observedPod: "old" })]);
  await assert.rejects(untilHealthy(cluster, CAS, 0, signal), {
    code: "E-CAS-UNHEALTHY",
    message: "the CAS cas is HEALTHY: the operator has not looked at it",
  });
});

test("an operator that names no pod, and a user who may not look at pods, are no hindrance", async () => {
  await untilHealthy(clusterWith([healthy({})]).cluster, CAS, 0, signal);
  await untilHealthy(clusterWith([healthy({ observedPod: "any" })], new ClusterError(403, "forbidden")).cluster, CAS, 0, signal);
});

test("CL 10.2: the reason that is told is that of the refusal, not that a CAS gives no evidence", async () => {
  const conditions = [
    { ...condition, type: "Attestable", status: "False", reason: "NoEvidence", message: "no evidence" },
    { ...condition, type: "Provisioned", status: "False", reason: "NoOwner", message: "no owner" },
  ];
  const unowned = healthy({ state: "UNHEALTHY", observedPod: "new", conditions });
  await assert.rejects(untilHealthy(clusterWith([unowned]).cluster, CAS, 0, signal), { message: "the CAS cas is UNHEALTHY: no owner" });
});
