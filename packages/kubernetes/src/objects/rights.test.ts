import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Cluster } from "../cluster/cluster.ts";
import { CasResource, LasResource } from "../custom-resources/resources.ts";
import { defineResources, missingForApiServer, startApiServer } from "../testing/api-server.ts";
import { asAccount, boundPod } from "../testing/as-account.ts";
import { AGENT_ACCOUNT, planAgentRights } from "./agent-rights.ts";
import { planBackupJob } from "./backup-objects.ts";
import { planCas } from "./cas-objects.ts";
import { NODE_LABELS, planLas } from "./las-objects.ts";
import { OPERATOR_NAME, OPERATOR_RIGHTS, planOperatorRights } from "./operator-rights.ts";

const NAMESPACE = "scone-system";
const node = (name: string) => ({ apiVersion: "v1", kind: "Node", metadata: { name } });
const claims = (token: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as Record<string, unknown>; // a token of the API server

test("least privilege: no right of the operator reaches Secrets, pods' insides, rights, or deletion, but of StatefulSets", () => {
  for (const { rule, why } of OPERATOR_RIGHTS) {
    assert(why.length > 0);
    const deletes = rule.verbs.some((verb) => verb === "*" || verb.startsWith("delete"));
    if (deletes) assert.deepEqual([rule.apiGroups, rule.resources, rule.verbs], [["apps"], ["statefulsets"], ["get", "delete"]], why);
    assert(!rule.resources.some((resource) => /secrets|exec|attach|portforward|role|\*/.test(resource)), why);
  }
});

test("least privilege: the real API server lets operator and agents do their work, and nothing beside it", async (t) => {
  const missing = missingForApiServer();
  if (missing !== undefined) return t.diagnostic(`not run: ${missing}`);
  const server = await startApiServer();
  t.after(() => server.stop());
  const admin = new Cluster(server.config);
  await admin.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } });
  await defineResources(admin);
  for (const object of [...planAgentRights(NAMESPACE), ...planOperatorRights(NAMESPACE)]) await admin.apply(object);
  for (const name of ["n1", "n2"]) await admin.apply(node(name));
  for (const [name, at] of [
    ["las-a", "n1"],
    ["las-b", "n2"],
  ] as const) {
    await admin.apply(boundPod(name, NAMESPACE, AGENT_ACCOUNT, at));
  }
  await admin.apply(boundPod("operator-a", NAMESPACE, OPERATOR_NAME, "n1"));
  const operator = await asAccount(admin, NAMESPACE, OPERATOR_NAME, "operator-a");
  const agent = await asAccount(admin, NAMESPACE, AGENT_ACCOUNT, "las-a");
  const refused = (work: Promise<unknown>, says = /./) => assert.rejects(work, { code: "E-CLUSTER", message: says });
  // Admission policies take a moment until the API server enforces them.
  const taints = (key: string) => ({ spec: { taints: [{ key, effect: "NoExecute" }] } });
  let isEnforced = false;
  for (let attempt = 0; !isEnforced; attempt++) {
    assert(attempt < 100, "the admission policy is enforced");
    await operator.merge(node("n1"), taints(`try-${attempt}`)).catch((error: Error) => {
      isEnforced = /its own labels/.test(error.message);
    });
    await sleep(200);
  }

  await t.test("the operator brings a CAS and the agents into being, and labels nodes", async () => {
    const found = await admin.apply({
      apiVersion: "services.scone.cloud/v1beta1",
      kind: "CAS",
      metadata: { name: "cas", namespace: "default" },
      spec: {},
    });
    for (const object of planCas(CasResource.parse(found), { image: "r/cas:1" }, { allowsNodeDirectories: true }))
      await operator.apply(object);
    const backedUp = { metadata: { name: "cas", namespace: "default", uid: "u" }, spec: { persistence: { enabled: true } } };
    await operator.apply(planBackupJob(CasResource.parse(backedUp), "n2", { image: "r/cas:1" }));
    await operator.find({ apiVersion: "v1", kind: "Namespace", metadata: { name: "default" } });
    const las = await admin.apply({ apiVersion: "base.scone.cloud/v1beta1", kind: "LAS", metadata: { name: "las" }, spec: {} });
    for (const object of planLas(LasResource.parse(las), { image: "r/las:1" })) await operator.apply(object);
    await operator.merge(node("n1"), { metadata: { labels: NODE_LABELS } });
    await operator
      .patchNodeStatus("n1", [{ op: "add", path: "/status/capacity", value: { "sgx.k8s.io~1sgx": "1" } }])
      .catch(() => undefined);
    await operator.merge(
      { apiVersion: "services.scone.cloud/v1beta1", kind: "CAS", metadata: { name: "cas", namespace: "default" } },
      { status: { state: "PENDING" } },
      "status",
    );
  });

  await t.test(
    "CL 10.1, reinstallOnFatal: the operator takes away the StatefulSet of a CAS, without its pod, and no other one",
    async () => {
      const header = (name: string) => ({ apiVersion: "apps/v1", kind: "StatefulSet", metadata: { name, namespace: "default" } });
      const template = { metadata: { labels: { a: "b" } }, spec: { containers: [{ name: "c", image: "none" }] } };
      await admin.apply({ ...header("theirs"), spec: { selector: { matchLabels: { a: "b" } }, serviceName: "x", template } });
      const uidOf = async (name: string) => ((await operator.find(header(name))) as { metadata: { uid: string } }).metadata.uid;
      await refused(operator.orphan(header("theirs"), await uidOf("theirs")), /StatefulSet of a CAS only/);
      await refused(operator.remove(header("cas")), /the pod of a CAS/);
      await operator.orphan(header("cas"), await uidOf("cas"));
    },
  );

  await t.test("the operator reads no Secret, deletes nothing else, and changes nothing else of a node", async () => {
    await refused(operator.list({ apiVersion: "v1", kind: "Secret" }), /secrets/);
    await refused(operator.list({ apiVersion: "v1", kind: "ConfigMap" }), /configmaps/);
    await refused(operator.remove({ apiVersion: "v1", kind: "Service", metadata: { name: "cas", namespace: "default" } }), /services/);
    await refused(operator.merge(node("n1"), taints("stop")), /its own labels of a node only/);
    await refused(operator.merge(node("n1"), { metadata: { labels: { "kubernetes.io/hostname": "other" } } }), /its own labels/);
    await refused(
      operator.patchNodeStatus("n1", [{ op: "add", path: "/status/conditions", value: [{ type: "Ready", status: "True" }] }]),
      /TEE devices/,
    );
    await refused(operator.patchNodeStatus("n1", [{ op: "add", path: "/status/capacity", value: { cpu: "900" } }]), /TEE devices/);
  });

  await t.test("C-75: the operator gets statements about backups in its own name, and no token that is a login", async () => {
    const statement = (audiences: readonly string[], account = OPERATOR_NAME) =>
      operator.requestToken(NAMESPACE, account, {
        audiences,
        expirationSeconds: 600,
        boundObjectRef: { apiVersion: "v1", kind: "Pod", name: "operator-a" },
      });
    assert.deepEqual(claims(await statement(["vouchsafe-backup:abc"]))["aud"], ["vouchsafe-backup:abc"]);
    await refused(statement(["https://kubernetes.default.svc"]), /about one backup only/);
    await refused(statement(["vouchsafe-backup:abc", "https://kubernetes.default.svc"]), /about one backup only/);
    await refused(statement(["vouchsafe-node:abc"]), /about one backup only/);
    await refused(statement(["vouchsafe-backup:abc"], AGENT_ACCOUNT), /serviceaccounts/);
  });

  await t.test("an agent publishes the record of its own node, and gets a statement about its own pod", async () => {
    const record = (name: string) => ({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: `las-${name}`, namespace: NAMESPACE },
      data: {},
    });
    await agent.apply(record("n1"));
    await refused(agent.apply(record("n2")), /its own node only/);
    const statement = (pod: string, ...audiences: readonly string[]) =>
      agent.requestToken(NAMESPACE, AGENT_ACCOUNT, {
        audiences,
        expirationSeconds: 3600,
        boundObjectRef: { apiVersion: "v1", kind: "Pod", name: pod },
      });
    const token = await statement("las-a", "vouchsafe-node:abc");
    assert.deepEqual(claims(token)["aud"], ["vouchsafe-node:abc"]);
    assert.match(JSON.stringify(claims(token)["kubernetes.io"]), /"node":\{"name":"n1"/);
    await refused(statement("las-b", "vouchsafe-node:abc"), /its own pod only/);
    await refused(statement("las-a", "https://kubernetes.default.svc"), /about its own key only/);
    await refused(statement("las-a", "vouchsafe-node:abc", "https://kubernetes.default.svc"), /about its own key only/);
    await refused(agent.requestToken(NAMESPACE, OPERATOR_NAME, { audiences: ["vouchsafe-node:abc"], expirationSeconds: 3600 }));
    await refused(agent.list({ apiVersion: "v1", kind: "Secret", namespace: NAMESPACE }), /secrets/);
  });
  return undefined;
});
