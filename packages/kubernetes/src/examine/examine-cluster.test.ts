import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { Cluster } from "../cluster/cluster.ts";
import { LasResource } from "../custom-resources/resources.ts";
import { type PlatformSettings, planPlatform } from "../objects/operator-objects.ts";
import { OPERATOR_NAME } from "../objects/operator-rights.ts";
import { defineResources, missingForApiServer, startApiServer } from "../testing/api-server.ts";
import { judgeClocks } from "./clocks.ts";
import { examineCluster } from "./examine-cluster.ts";
import type { Finding } from "./finding.ts";
import { examineAgents, examineVersions } from "./platform-state.ts";
import { registryOf } from "./registry.ts";

const SYSTEM = "scone-system";
const condition = (type: string, status: string, message: string) => ({
  ...{ type, status, message, reason: "Reason", lastTransitionTime: new Date().toISOString() },
});

/** A registry that knows one login. */
async function startRegistry(t: TestContext): Promise<string> {
  const login = `Basic ${Buffer.from("me:right").toString("base64")}`;
  const server = createServer((request, answer) => {
    const isKnown = request.headers.authorization === login;
    answer.writeHead(isKnown ? 200 : 401, isKnown ? {} : { "www-authenticate": 'Basic realm="test"' }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`; // it listens on TCP
}

const pullSecret = (namespace: string, registry: string, password: string) => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name: "sconeapps", namespace },
  type: "kubernetes.io/dockerconfigjson",
  data: {
    ".dockerconfigjson": Buffer.from(
      JSON.stringify({ auths: { [registry]: { auth: Buffer.from(`me:${password}`).toString("base64") } } }),
    ).toString("base64"),
  },
});

test("doctor --cluster: each failure that is injected is found, told and given a remedy", async (t) => {
  const missing = missingForApiServer();
  if (missing !== undefined) return t.diagnostic(`not run: ${missing}`);
  const server = await startApiServer();
  t.after(() => server.stop());
  const cluster = new Cluster(server.config);
  const registry = await startRegistry(t);
  const settings: PlatformSettings = {
    namespace: SYSTEM,
    images: { operator: `${registry}/operator:1.0.0`, cas: `${registry}/cas:1.0.0`, las: `${registry}/las:1.0.0` },
    imagePullSecrets: ["sconeapps"],
    imagePullPolicy: "Always",
    containerRuntime: "/run/containerd/containerd.sock",
    kubeletRoot: "/var/lib/kubelet",
    withSgxPlugin: false,
  };
  const question = {
    ...{ cas: "cas", casNamespace: SYSTEM, namespace: "default", platformNamespace: SYSTEM, pullSecret: "sconeapps", version: "1.0.0" },
    now: () => new Date(),
  };
  const examine = async (change: Partial<typeof question> = {}): Promise<ReadonlyMap<string, Finding>> =>
    new Map((await examineCluster(cluster, { ...question, ...change })).map((finding) => [finding.name, finding]));
  const says = (finding: Finding | undefined, outcome: Finding["outcome"], detail: RegExp, remedy?: RegExp) => {
    assert.equal(finding?.outcome, outcome, JSON.stringify(finding));
    assert.match(finding?.detail ?? "", detail);
    if (remedy !== undefined) assert.match(finding?.remedy ?? "", remedy);
    if (outcome !== "ok") assert((finding?.remedy ?? "").length > 10, "a remedy");
  };

  await t.test("nothing is installed", async () => {
    const findings = await examine();
    says(findings.get("cluster"), "ok", /Kubernetes v1\./);
    says(findings.get("clocks"), "ok", /agree/);
    says(findings.get("your rights"), "ok", /enough/);
    says(findings.get("operator"), "failed", /there is none/, /vouchsafe init/);
    says(findings.get("rights of the operator"), "failed", /the operator may not get las, list las.* more/, /vouchsafe init/);
    says(findings.get("node agents (las)"), "failed", /there is none/);
    says(findings.get("CAS"), "failed", /there is no CAS cas/, /kubectl provision cas cas -n scone-system/);
  });

  // What operator and kubelet would write, by hand: neither runs here.
  await defineResources(cluster);
  for (const object of planPlatform(settings)) await cluster.apply(object);
  const deployment = { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: OPERATOR_NAME, namespace: SYSTEM } };
  const lease = {
    ...{ apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { name: OPERATOR_NAME, namespace: SYSTEM } },
    spec: { holderIdentity: "pod-a_1", renewTime: new Date().toISOString().replace("Z", "000Z"), leaseDurationSeconds: 15 },
  };
  const casResource = { apiVersion: "services.scone.cloud/v1beta1", kind: "CAS", metadata: { name: "cas", namespace: SYSTEM } };
  const las = { apiVersion: "base.scone.cloud/v1beta1", kind: "LAS", metadata: { name: "las" } };
  const healthyNode = { ready: true, evidence: ["node"] };
  await cluster.merge(deployment, { status: { replicas: 2, readyReplicas: 2 } }, "status");
  await cluster.apply(lease);
  await cluster.apply({ ...casResource, spec: { persistence: { enabled: true } } });
  await cluster.merge(
    casResource,
    { status: { state: "HEALTHY", version: "1.0.0", conditions: [condition("Running", "True", "runs")] } },
    "status",
  );
  await cluster.merge(las, { status: { state: "HEALTHY", version: "1.0.0", nodes: { n1: healthyNode } } }, "status");
  const claim = { apiVersion: "v1", kind: "PersistentVolumeClaim", metadata: { name: "database-cas-0", namespace: SYSTEM } };
  await cluster.apply({ ...claim, spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } } });
  for (const namespace of ["default", SYSTEM]) await cluster.apply(pullSecret(namespace, registry, "right"));

  await t.test("all is well, but for the volume: the cluster has no default storage class", async () => {
    const findings = await examine();
    for (const name of [
      "cluster",
      "your rights",
      "operator",
      "rights of the operator",
      "node agents (las)",
      "CAS",
      "registry",
      "versions",
    ]) {
      says(findings.get(name), "ok", /./);
    }
    says(findings.get("pull secret in default"), "ok", /which the registry takes/);
    says(findings.get("storage of the CAS"), "failed", /no default storage class \(classes: none\)/, /storageClass/);
    await cluster.merge(claim, { status: { phase: "Bound" } }, "status");
    says((await examine()).get("storage of the CAS"), "ok", /bound/);
  });

  await t.test("storage: a class that does not exist, and none at all", async () => {
    await cluster.merge(claim, { status: { phase: "Pending" } }, "status");
    await cluster.merge(casResource, { spec: { persistence: { storageClass: "fast" } } });
    says((await examine()).get("storage of the CAS"), "failed", /there is no storage class fast/, /get storageclass/);
    await cluster.merge(casResource, { spec: { persistence: { enabled: false } } });
    says((await examine()).get("storage of the CAS"), "warning", /ends with its pod/, /persistence\.enabled/);
  });

  await t.test("clocks: this machine is an hour ahead, a node is ten seconds ahead", async () => {
    const hour = 3_600_000;
    says((await examine({ now: () => new Date(Date.now() + hour) })).get("clocks"), "failed", /this machine is 3[56]\d\d s ahead/, /NTP/);
    await cluster.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "kube-node-lease" } });
    const renewTime = new Date(Date.now() + 20_000).toISOString().replace("Z", "000Z");
    await cluster.apply({ ...lease, metadata: { name: "n1", namespace: "kube-node-lease" }, spec: { holderIdentity: "n1", renewTime } });
    says((await examine()).get("clocks"), "warning", /node n1 is \d+ s ahead/);
    await cluster.remove({ ...lease, metadata: { name: "n1", namespace: "kube-node-lease" } });
  });

  await t.test("pull secret: missing, for another registry, unreadable, with a wrong password", async () => {
    const secret = pullSecret("default", registry, "right");
    await cluster.apply(pullSecret("default", registry, "wrong"));
    says((await examine()).get("pull secret in default"), "failed", /refuses the login/, /create secret docker-registry sconeapps/);
    await cluster.apply(pullSecret("default", "elsewhere.example", "right"));
    says((await examine()).get("pull secret in default"), "failed", /logins for elsewhere\.example, and none for 127/);
    await cluster.remove(secret);
    says(
      (await examine()).get("pull secret in default"),
      "warning",
      /there is no Secret sconeapps/,
      new RegExp(`--docker-server=${registry}`),
    );
    await cluster.apply({ ...secret, type: "Opaque", data: { password: "c2VjcmV0" } });
    const finding = (await examine()).get("pull secret in default");
    says(finding, "failed", /holds no login/);
    assert.doesNotMatch(JSON.stringify(finding), /secret\b.*c2VjcmV0|c2VjcmV0/);
    await cluster.remove(secret);
  });

  await t.test("registry: a pod that cannot pull", async () => {
    const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "app", namespace: "default" } };
    await cluster.apply({ ...pod, spec: { containers: [{ name: "c", image: `${registry}/app` }] } });
    const waiting = { reason: "ErrImagePull", message: "connection refused" };
    const container = { name: "c", image: `${registry}/app`, imageID: "", ready: false, restartCount: 0, state: { waiting } };
    await cluster.merge(pod, { status: { containerStatuses: [container] } }, "status");
    says((await examine()).get("registry"), "failed", /default\/app cannot pull 127\S+: connection refused/, /runs/);
    await cluster.remove(pod);
  });

  await t.test("CAS: not healthy, and healthy without knowing the nodes", async () => {
    const conditions = [condition("Attestable", "False", "the statement is not signed by the CAS")];
    await cluster.merge(casResource, { status: { state: "UNHEALTHY", conditions } }, "status");
    says((await examine()).get("CAS"), "failed", /UNHEALTHY: the statement is not signed/, /describe cas/);
    await cluster.merge(
      casResource,
      { status: { state: "HEALTHY", conditions: [condition("NodesEnrolled", "False", "node n1: no")] } },
      "status",
    );
    says((await examine()).get("CAS"), "warning", /HEALTHY, but node n1: no/, /kubectl provision/);
  });

  await t.test("operator: nobody leads, no pod is ready, its rights are gone", async () => {
    await cluster.merge(lease, { spec: { renewTime: "2020-01-01T00:00:00.000000Z" } });
    says((await examine()).get("operator"), "failed", /no operator leads/);
    await cluster.merge(deployment, { status: { readyReplicas: 0 } }, "status");
    says((await examine()).get("operator"), "failed", /none of 2 pods is ready/);
    await cluster.remove({ apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRoleBinding", metadata: { name: OPERATOR_NAME } });
    // The API server's authoriser hears of it a moment later.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    says((await examine()).get("rights of the operator"), "failed", /may not get las, list las.* more/, /vouchsafe init/);
  });

  await t.test("versions: the agents are older", async () => {
    await cluster.merge(las, { status: { version: "0.9.0" } }, "status");
    says((await examine()).get("versions"), "warning", /this program is 1\.0\.0; the node agents 0\.9\.0/, /vouchsafe init/);
  });
  return undefined;
});

test("clocks: who deviates most is named; seconds are tolerated", () => {
  assert.equal(judgeClocks([{ who: "this machine", skewMs: -4_000 }]).outcome, "ok");
  assert.match(
    judgeClocks([
      { who: "a", skewMs: 6_000 },
      { who: "b", skewMs: -70_000 },
    ]).detail,
    /b is 70 s behind/,
  );
});

const las = (nodes: object) => LasResource.parse({ metadata: { name: "las", uid: "u" }, status: { state: "UNHEALTHY", nodes } });
test("seccomp and user namespaces: the node's own words, and the command that helps as remedy", () => {
  const message = "user namespaces are forbidden on the node (user.max_user_namespaces is 0): sysctl -w user.max_user_namespaces=65536";
  const [finding] = examineAgents([las({ n1: { ready: false, message }, n2: { ready: true } })]);
  assert.deepEqual(finding, {
    name: "node agents (las)",
    outcome: "failed",
    detail: "n1: user namespaces are forbidden on the node (user.max_user_namespaces is 0)",
    remedy: "On the node: sysctl -w user.max_user_namespaces=65536",
  });
});

test("versions: an image by digest or by latest says nothing about its version", () => {
  const operator = (image: string) => ({ image, ready: 1, replicas: 1 });
  assert.equal(examineVersions("1.0.0", operator("r:5000/v/operator:latest"), [], undefined).outcome, "ok");
  assert.equal(examineVersions("1.0.0", operator("r:5000/v/operator@sha256:00"), [], undefined).outcome, "ok");
  assert.match(examineVersions("1.0.0", operator("r:5000/v/operator:2.0.0"), [], undefined).detail, /the operator 2\.0\.0/);
});

const images = [
  { image: "registry.example.org/v/operator:1", registry: "registry.example.org" },
  { image: "127.0.0.1:5000/platform/operator", registry: "127.0.0.1:5000" },
  { image: "library/redis", registry: "docker.io" },
  { image: "redis", registry: "docker.io" },
];
for (const { image, registry } of images) test(`the registry of ${image} is ${registry}`, () => assert.equal(registryOf(image), registry));
