import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { CasClient, requestCasStatement } from "@vouchsafe/protocol";
import { createTestClient } from "../../packages/cas/src/testing/test-cas.ts";
import { eventually, openCluster, preparePlatform, reasonNotToRun } from "./cluster.ts";
import { makeDatabaseVolume } from "./database-volume.ts";
import { stepsOf } from "./patient-service.ts";

/*
 * The backup controller where one node is all there is: a CAS from before it had backups keeps its platform key on its volume, so that its own node is
 * another platform and can be registered. What needs a second node is shown against an API server alone (packages/kubernetes).
 */
test("C-75, C-76 on a real Kubernetes: nodes are registered by themselves, and open the database", { timeout: 20 * 60_000 }, async (t) => {
  const reason = reasonNotToRun();
  if (reason !== undefined) return t.diagnostic(`not run: ${reason}`);
  const cluster = await openCluster(t);
  const { namespace, directory, run, environment } = cluster;
  await preparePlatform(cluster);
  const step = stepsOf(t);
  const { persistence, path } = await makeDatabaseVolume(cluster, "spare");
  const image = `${environment["SCONECTL_REPO"] ?? ""}/cas:${environment["VERSION"]}`;
  const describe = (controller: string) =>
    writeFile(
      join(directory, "spare.yaml"),
      `apiVersion: services.scone.cloud/v1beta1
kind: CAS
metadata: {name: spare, namespace: ${namespace}}
spec:
  image: ${image}
  imagePullSecrets: [{name: sconeapps}]
  persistence: ${persistence}
  backup-controller: ${controller}
`,
    );
  const provision = (...argv: readonly string[]) => run("kubectl", "provision", "cas", "spare", "-n", namespace, ...argv);
  const read = async (field: string) => (await run("kubectl", "-n", namespace, "get", "cas", "spare", "-o", `jsonpath={${field}}`)).trim();
  /** The operator writes the status in its own time. */
  const becomes = (field: string, value: string) =>
    eventually(`${field} is ${value}`, async () => ((await read(field)) === value ? true : undefined));
  const backups = (field: string) => read(`.status.conditions[?(@.type=="BackupsRegistered")].${field}`);
  const policies = createTestClient();
  const withClient = async <T>(talk: (client: CasClient) => Promise<T>): Promise<T> => {
    const host = (await run("kubectl", "-n", namespace, "get", "service", "spare", "-o", "jsonpath={.spec.clusterIP}")).trim();
    using client = new CasClient({ host, port: 8081, pin: {}, clientIdentity: policies, timeoutMs: 10_000 });
    return await talk(client);
  };
  const statementOf = () => withClient(async (client) => (await requestCasStatement(client, {}, new Date())).statement);
  const podOf = () => run("kubectl", "-n", namespace, "get", "pod", "spare-0", "-o", "jsonpath={.metadata.uid}");

  await step("CL 10.1: in a namespace whose Pod Security forbids it, the controller says so by name, and the CAS serves", async () => {
    await describe("{enabled: true}");
    await provision("-f", "spare.yaml");
    await eventually("the reason is shown", async () => ((await backups("reason")) === "PodSecurity" ? true : undefined));
    assert.match(await backups("message"), /Pod Security of the namespace .* forbids/);
    await becomes(".status.state", "HEALTHY");
    await becomes(".status.migrationNodeRatio", "0/0");
    await withClient((client) => client.uploadSession(`name: ${namespace}-kept\nversion: "0.3"\n`));
  });

  let key = "";
  await step(
    "C-75: where it is allowed, the node shows its platform and is registered, without the owner and without a Secret",
    async () => {
      const before = await statementOf();
      assert.deepEqual(before.backups, []);
      await run("kubectl", "label", "--overwrite", "namespace", namespace, "pod-security.kubernetes.io/enforce=privileged");
      await eventually("the node is registered", async () => ((await backups("status")) === "True" ? true : undefined), 240_000);
      const { backups: registered = [], instanceKey, chain } = await statementOf();
      assert.deepEqual([registered.length, instanceKey, chain.at(-1)], [1, before.instanceKey, before.chain.at(-1)]);
      assert.notEqual(registered[0], instanceKey, "the CAS still works with the key on its volume");
      await becomes(".status.migrationNodeRatio", "1/1");
      assert.ok((await read(".status.backups")).includes(registered[0] ?? "none"));
      assert.match(await provision("--wait"), /is HEALTHY/);
      const secrets = (await run("kubectl", "-n", namespace, "get", "secrets", "-o", "name")).trim();
      assert.equal(secrets, "secret/sconeapps");
      key = await read(".status.keyHash");
    },
  );

  if (path !== undefined) {
    await step("C-76: without the key on its volume the CAS opens the database with that of the node, as the same CAS", async () => {
      const former = await podOf();
      await rm(join(path, "platform.key"));
      await run("kubectl", "-n", namespace, "delete", "pod", "spare-0");
      await eventually("another pod", async () => ((await podOf()) === former ? undefined : true));
      const { instanceKey, backups: registered } = await eventually("it serves again", async () => {
        const found = await statementOf();
        return found.state === "provisioned" ? found : undefined;
      });
      assert.deepEqual(registered, [instanceKey], "the node is the backup that it was registered as");
      assert.ok(await withClient((client) => client.readSessionHash(`${namespace}-kept`)));
      await provision("--verify");
      assert.equal(await read(".status.keyHash"), key);
      await becomes(".status.migrationNodeRatio", "1/1");
    });
  }

  await step("C-75, CL-46: provisioning again, without the right to register backups and with it, is success", async () => {
    await provision("--no-backup");
    await becomes(".status.state", "HEALTHY");
    await provision();
    assert.equal((await provision("--is-provisioned")).trim(), "YES");
  });
  return undefined;
});
