import assert from "node:assert/strict";
import { test } from "node:test";
import { Cluster } from "../cluster/cluster.ts";
import { AGENT_RECORD_LABEL } from "../objects/agent-rights.ts";
import { NODE_LABELS } from "../objects/las-objects.ts";
import { type PlatformSettings, planPlatform } from "../objects/operator-objects.ts";
import { missingForApiServer, startApiServer } from "../testing/api-server.ts";
import { installPlatform } from "./install-platform.ts";
import { uninstallPlatform } from "./uninstall-platform.ts";

const settings: PlatformSettings = {
  namespace: "platform",
  images: { operator: "r.example/operator:1", cas: "r.example/cas:1", las: "r.example/las:1" },
  imagePullSecrets: ["sconeapps"],
  imagePullPolicy: "Always",
  containerRuntime: "/run/containerd/containerd.sock",
  kubeletRoot: "/var/lib/kubelet",
  withSgxPlugin: true,
};
const cas = { apiVersion: "services.scone.cloud/v1beta1", kind: "CAS", metadata: { name: "cas", namespace: "default" } };
const claim = {
  apiVersion: "v1",
  kind: "PersistentVolumeClaim",
  metadata: {
    name: "database-cas-0",
    namespace: "default",
    labels: { "app.kubernetes.io/name": "cas", "app.kubernetes.io/instance": "cas" },
  },
  spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
};
const others = { ...claim, metadata: { name: "theirs", namespace: "default" } };
const record = {
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "las-node-1", namespace: "platform", labels: { [AGENT_RECORD_LABEL]: "true" } },
};
const node = { apiVersion: "v1", kind: "Node", metadata: { name: "node-1", labels: { ...NODE_LABELS, theirs: "stays" } } };

test("init --uninstall removes what init made, no CAS and no volume unless told, and may be repeated", async (t) => {
  const missing = missingForApiServer();
  if (missing !== undefined) return t.diagnostic(`not run: ${missing}`);
  const server = await startApiServer();
  t.after(() => server.stop());
  const cluster = new Cluster(server.config);
  const waiting = { timeoutMs: 60_000, signal: new AbortController().signal, log: () => undefined };
  const uninstall = (options: { removesCas: boolean; removesVolumes: boolean }) =>
    uninstallPlatform(cluster, settings, { ...options, ...waiting });

  await installPlatform(cluster, settings, { ...waiting, isWaiting: false });
  for (const object of [{ ...cas, spec: {} }, claim, others, record, node]) await cluster.apply(object);
  await cluster.patchNodeStatus("node-1", [{ op: "add", path: "/status/capacity", value: { "sgx.intel.com/enclave": "100", cpu: "2" } }]);

  await assert.rejects(uninstall({ removesCas: false, removesVolumes: false }), {
    code: "E-CAS-PRESENT",
    message: /cas in default/,
    remedy: /kubectl delete cas cas -n default.*--with-cas/,
  });
  for (const object of planPlatform(settings))
    assert.notEqual(await cluster.find(object), undefined, `${object.kind} ${object.metadata.name}`);

  await uninstall({ removesCas: true, removesVolumes: false });
  for (const object of planPlatform(settings).filter(({ kind }) => kind !== "Namespace"))
    assert.equal(await cluster.find(object), undefined, `${object.kind} ${object.metadata.name}`);
  assert.equal(await cluster.find(record), undefined);
  assert.notEqual(await cluster.find(claim), undefined);
  const seen = JSON.stringify(await cluster.find(node));
  assert.match(seen, /"theirs":"stays"/);
  assert.match(seen, /"capacity":\{"cpu":"2"\}/); // what can be allocated the kubelet works out from it
  assert.doesNotMatch(seen, /"las\.scontain\.com\/ok":/);

  await uninstall({ removesCas: false, removesVolumes: false });
  await installPlatform(cluster, settings, { ...waiting, isWaiting: false });
  await cluster.apply({ ...cas, spec: {} });
  await uninstall({ removesCas: true, removesVolumes: true });
  // Claims end when their controller, which does not run here, lets go of them.
  assert.match(JSON.stringify(await cluster.find(claim)), /"deletionTimestamp"/);
  assert.doesNotMatch(JSON.stringify(await cluster.find(others)), /"deletionTimestamp"/);
  return undefined;
});
