import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { eventually, openCluster, preparePlatform, reasonNotToRun } from "./cluster.ts";

/* What the platform's objects show to people and scripts (cli.md section 10), and what a pod can ask of the node agent. Changes nothing of the platform. */
test("cli.md section 10: the platform's objects, as kubectl shows them on a real Kubernetes", { timeout: 20 * 60_000 }, async (t) => {
  const reason = reasonNotToRun();
  if (reason !== undefined) return t.diagnostic(`not run: ${reason}`);
  const cluster = await openCluster(t);
  const { namespace, directory, run, environment } = cluster;
  await preparePlatform(cluster);
  const header = async (...argv: readonly string[]) => {
    const [first = ""] = (await run("kubectl", "get", ...argv)).split("\n");
    return first.trim().split(/\s{2,}/);
  };

  await t.test("CL-54, CL-55, CL-59, CL-61: LAS and SGXPlugin are found from any namespace, under each of their names", async () => {
    const las = ["NAME", "STATUS", "AVAILABLE", "DESIRED", "VERSION", "AGE"];
    assert.deepEqual(await header("las", "-n", namespace), las);
    assert.deepEqual(await header("las", "-o", "wide"), [...las, "NODES"]);
    for (const name of ["sgxplugins", "sgxplugin", "sgx"])
      assert.deepEqual(await header(name, "-n", namespace), ["NAME", "STATUS", "SERVING", "SELECTED", "READY", "AGE"]);
    for (const kind of ["las", "sgxplugin"]) assert.match(await run("kubectl", "get", kind), / HEALTHY /);
  });

  await t.test("CL-57, CL-58: policies show their state, under short names too", async () => {
    const policy = (kind: string, spec: object) => ({
      apiVersion: "cas.scone.cloud/v1beta1",
      kind,
      metadata: { name: "shown", namespace },
      spec: { casAddress: `https://nobody.${namespace}:8081`, ...spec },
    });
    const file = join(directory, "policies.json");
    const encrypted = policy("EncryptedPolicy", { policy: "AAAA", encryptionKey: "ab".repeat(32) });
    const signed = policy("SignedPolicy", { policy: "name: x", signatures: [] });
    await writeFile(file, JSON.stringify({ apiVersion: "v1", kind: "List", items: [encrypted, signed] }));
    await run("kubectl", "create", "-f", file);
    for (const [name, columns] of [
      ["epol", ["NAME", "STATE", "AGE"]],
      ["encryptedpolicies", ["NAME", "STATE", "AGE"]],
      ["spol", ["NAME", "STATE", "HASH", "AGE"]],
      ["signedpolicies", ["NAME", "STATE", "HASH", "AGE"]],
    ] as const)
      assert.deepEqual(await header(name, "-n", namespace), columns, name);
    // CL-71: nobody answers there.
    await eventually("both wait", async () => {
      const shown = await run("kubectl", "-n", namespace, "get", "epol,spol", "-o", "jsonpath={.items[*].status.state}");
      return shown.trim() === "PENDING PENDING" ? true : undefined;
    });
    await run("kubectl", "delete", "-f", file);
  });

  await t.test("CL-60, CL 10.2: the status of LAS and SGXPlugin holds what was checked on each node", async () => {
    const statusOf = async (kind: string) => JSON.parse(await run("kubectl", "get", kind, "-o", "json")).items[0].status;
    const [las, plugin] = [await statusOf("las"), await statusOf("sgxplugin")];
    const count = (await run("kubectl", "get", "nodes", "-o", "name")).trim().split("\n").length;
    const { state, version, desiredNumberScheduled, numberAvailable, lasReplicaAlert, lasProbeAlert } = las;
    assert.deepEqual(
      { state, version, desiredNumberScheduled, numberAvailable, lasReplicaAlert, lasProbeAlert },
      {
        ...{ state: "HEALTHY", version: environment["VERSION"], desiredNumberScheduled: count, numberAvailable: count },
        ...{ lasReplicaAlert: 0, lasProbeAlert: 0 },
      },
    );
    for (const node of Object.values<{ ready: boolean; evidence: string[]; publicKey: string; since: string }>(las.nodes)) {
      assert.deepEqual([node.ready, node.evidence.includes("node")], [true, true]);
      assert.ok(node.publicKey.length > 0 && Number.isFinite(Date.parse(node.since)));
    }
    const fields = ["servingReplicaRatio", "servingReplicas", "healthyServingReplicas", "desiredReplicas", "readyReplicas"];
    const devices = ["available", "capacity", "used"].flatMap((what) => [`${what}SGXDevices`, `${what}SGXDevicesPerNode`]);
    for (const field of ["state", ...fields, ...devices, "sgxDeviceAlert", "sgxReplicaAlert", "conditions"])
      assert.ok(plugin[field] !== undefined, field);
    assert.equal(plugin.servingReplicaRatio, `${count}/${count}`);
  });

  await t.test("CL-66, C-92: vouchsafe las probe in a pod reaches the node agent, and says why a shell gets no evidence", async () => {
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "probe", namespace },
      spec: {
        restartPolicy: "Never",
        terminationGracePeriodSeconds: 0,
        automountServiceAccountToken: false,
        imagePullSecrets: [{ name: "sconeapps" }],
        securityContext: { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: "RuntimeDefault" } },
        containers: [
          {
            name: "probe",
            image: `${environment["SCONECTL_REPO"]}/sconecli:${environment["VERSION"]}`,
            command: ["sh", "-c", "vouchsafe las probe --json --timeout 60; echo status $?; vouchsafe las probe --dcap; echo status $?"],
            env: [
              { name: "HOME", value: "/tmp" },
              { name: "SCONE_LAS_ADDR", valueFrom: { fieldRef: { fieldPath: "status.hostIP" } } },
            ],
            securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
          },
        ],
      },
    };
    const file = join(directory, "probe.json");
    await writeFile(file, JSON.stringify(pod));
    await run("kubectl", "create", "-f", file);
    const log = await eventually("both probes ended", async () => {
      const text = await run("kubectl", "-n", namespace, "logs", "probe");
      return text.match(/^status \d+$/gm)?.length === 2 ? text : undefined;
    });
    // Whoever is no launcher gets none, and this pod is none: what counts is that the agent was reached and that its own words arrive.
    assert.match(
      log,
      /the node agent at [0-9.]+:18766: the node agent refuses: the caller is not the first process of its container[^\n]*\n[\s\S]*?status 1\n/,
    );
    assert.match(log, /nothing here gives DCAP evidence[\s\S]*status 1\n$/);
    await run("kubectl", "delete", "-f", file, "--wait=false");
  });
  return undefined;
});
