import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { CLUSTER_STATE, eventually, isOwnCluster, openCluster, preparePlatform, reasonNotToRun } from "./cluster.ts";

/** The last file of the suite: it takes away what the others used. */
test("sconectl init --uninstall on a real Kubernetes leaves nothing of the platform, and init brings it back", {
  timeout: 15 * 60_000,
}, async (t) => {
  const reason = reasonNotToRun() ?? (isOwnCluster() ? "the platform of a cluster of the user's is not ours to remove" : undefined);
  if (reason !== undefined) return t.diagnostic(`not run: ${reason}`);
  const cluster = await openCluster(t);
  const { run, shell, nodeSettings } = cluster;
  await preparePlatform(cluster);
  const node = () => run("kubectl", "get", "nodes", "-o", "json");
  assert.match(await node(), /"las\.scontain\.com\/ok": "true"/);

  await assert.rejects(run("sconectl", "init", "--uninstall"), /E-CAS-PRESENT[\s\S]*cas in scone-system[\s\S]*--with-cas/);
  assert.match(await run("kubectl", "get", "cas", "cas", "-n", "scone-system"), /HEALTHY/);
  for (let round = 0; round < 2; round++) {
    const said = await run("sconectl", "init", "--uninstall", ...(round === 0 ? ["--with-cas"] : []));
    assert.match(said, /The platform is removed/);
    const kinds = "crds,clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings";
    assert.doesNotMatch(await run("kubectl", "get", kinds, "-o", "name"), /scone\.cloud|vouchsafe/);
    const left = await shell(
      "kubectl -n scone-system get all,configmaps,serviceaccounts,roles,rolebindings,networkpolicies,pdb,leases -o name",
    );
    const ours = left.split("\n").filter((name) => name !== "" && !/^(?:configmap\/kube-root-ca\.crt|serviceaccount\/default)$/.test(name));
    assert.deepEqual(ours, []);
    const seen = JSON.parse(await node()).items[0];
    assert.deepEqual(
      Object.keys(seen.metadata.labels).filter((label) => /scontain|sgx/.test(label)),
      [],
    );
    assert.deepEqual(
      Object.keys(seen.status.capacity).filter((resource) => /sgx/.test(resource)),
      [],
    );
  }
  await rm(join(CLUSTER_STATE, "owner"), { recursive: true, force: true }); // it remembers the CAS that is gone

  await run("sconectl", "init", ...nodeSettings);
  // At once: init returns when the agents run.
  assert.match(await run("kubectl", "get", "las"), / HEALTHY /);
  await eventually("the node is labelled", async () => /"las\.scontain\.com\/ok": "true"/.test(await node()) || undefined);
  return undefined;
});
