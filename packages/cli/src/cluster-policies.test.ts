import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Cluster } from "@vouchsafe/kubernetes";
import { defineResources, missingForApiServer, startApiServer } from "../../kubernetes/src/testing/api-server.ts";
import { imageOf, meshText, planOf, serviceText } from "../../mesh/src/testing/mesh-fixture.ts";
import { activePoliciesOfCluster } from "./cluster-policies.ts";

const { plan } = planOf(meshText(), { app: imageOf(serviceText()) }, { evidence: { kinds: ["node"], simulates: undefined } });
assert(plan !== undefined);
const neverAsked = () => assert.fail("there is no CAS to ask");
test("MF-100: without a cluster nothing is known; a list of kubeconfigs is refused", async () => {
  assert.equal((await activePoliciesOfCluster(plan, { environment: { HOME: "/nowhere" } }, neverAsked)).size, 0);
  await assert.rejects(activePoliciesOfCluster(plan, { environment: { KUBECONFIG: "a:b" } }, neverAsked), { code: "E-KUBECONFIG-LIST" });
});

test("MF-100: where the CAS cannot be asked, the newest policy resource that was uploaded says which version is active", async (t) => {
  const missing = missingForApiServer();
  if (missing !== undefined) return t.diagnostic(`not run: ${missing}`);
  const server = await startApiServer();
  t.after(() => server.stop());
  const cluster = new Cluster(server.config);
  await defineResources(cluster);
  const directory = await mkdtemp(join(tmpdir(), "cluster-policies-"));
  t.after(() => rm(directory, { recursive: true }));
  const kubeconfig = join(directory, "kubeconfig");
  await writeFile(kubeconfig, server.kubeconfig);
  const store = async (namespace: string, state: string, hash: string) => {
    await cluster.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
    const metadata = { name: "team-1-app", namespace, labels: { "vouchsafe.dev/policy": "team-1-app" } };
    const header = { apiVersion: "cas.scone.cloud/v1beta1", kind: "EncryptedPolicy", metadata };
    await cluster.apply({ ...header, spec: { casAddress: "https://cas:8081", policy: "x", encryptionKey: "00" } });
    await cluster.merge(header, { status: { state, hash, revision: 1 } }, "status");
    await new Promise((resolve) => setTimeout(resolve, 1_100)); // creation times are in whole seconds
  };
  await store("old", "UPLOADED", "aa".repeat(32));
  await store("new", "UPLOADED", "bb".repeat(32));
  await store("refused", "FAILED", "cc".repeat(32));
  const found = await activePoliciesOfCluster(plan, { environment: { KUBECONFIG: kubeconfig } }, neverAsked);
  assert.deepEqual([...found], [["team-1/app", { kind: "active", hash: "bb".repeat(32) }]]);
  return undefined;
});
