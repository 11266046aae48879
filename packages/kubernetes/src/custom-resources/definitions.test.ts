import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Cluster } from "../cluster/cluster.ts";
import { planBackupJob } from "../objects/backup-objects.ts";
import { planCas } from "../objects/cas-objects.ts";
import { planLas } from "../objects/las-objects.ts";
import { type PlatformSettings, planPlatform } from "../objects/operator-objects.ts";
import { missingForApiServer, startApiServer } from "../testing/api-server.ts";
import { CasResource, EncryptedPolicyResource, LasResource, PolicyResource } from "./resources.ts";

const settings: PlatformSettings = {
  namespace: "scone-system",
  images: { operator: "r.example/operator:1", cas: "r.example/cas:1", las: "r.example/las:1" },
  imagePullSecrets: ["sconeapps"],
  imagePullPolicy: "IfNotPresent",
  containerRuntime: "/run/containerd/containerd.sock",
  kubeletRoot: "/var/lib/kubelet",
  withSgxPlugin: true,
};
const cas = (name: string, spec: object = {}) => ({
  apiVersion: "services.scone.cloud/v1beta1",
  kind: "CAS",
  metadata: { name, namespace: "default" },
  spec,
});

test("CL-54 to CL-67: a real API server takes the definitions, the platform and what the operator makes of its resources", async (t) => {
  const missing = missingForApiServer();
  if (missing !== undefined) return t.diagnostic(`not run: ${missing}`);
  const server = await startApiServer();
  t.after(() => server.stop());
  const cluster = new Cluster(server.config);
  for (const object of planPlatform(settings)) await applyWhenKnown(cluster, object);
  for (const object of planPlatform(settings)) await cluster.apply(object); // repeating it is harmless

  await t.test("defaults are filled in, and the operator reads what comes back", async () => {
    const found = CasResource.parse(await cluster.apply(cas("cas")));
    assert.equal(found.spec.service.clientPort, 8081);
    assert.equal(found.spec.persistence.mountPath, "/etc/cas/db");
    const las = LasResource.parse((await cluster.list({ apiVersion: "base.scone.cloud/v1beta1", kind: "LAS" }))[0]);
    assert.deepEqual(las.spec.evidence, ["node"]);
    for (const object of [
      ...planCas(found, { image: "r.example/cas:1" }, { allowsNodeDirectories: true }),
      ...planLas(las, { image: "r.example/las:1" }),
    ]) {
      await cluster.apply(object, { isDryRun: true });
    }
  });

  await t.test("CL-67, section 10.1: every option of a CAS gives objects that the API server accepts", async () => {
    const everything = cas("other", {
      service: { type: "NodePort", nodePorts: { clientPort: 30_081 }, annotations: { a: "b" } },
      persistence: { enabled: true, size: "2Gi", storageClass: "-" },
      databaseSnapshots: { enabled: true, persistence: { enabled: true } },
      networkPolicy: { enabled: true, ingressPodMatchLabels: { app: "x" } },
      livenessProbe: { enabled: false },
      tolerations: [{ key: "sgx", operator: "Exists" }],
      resources: { limits: { memory: "1Gi" } },
      podAnnotations: { x: "y" },
      nodeSelector: { "las.scontain.com/ok": "true" },
      "backup-controller": {
        ...{ enabled: true, session: "s", image: "r.example/cas:2", env: [{ name: "A", value: "b" }], debug: true },
        imagePullSecrets: [{ name: "other" }],
      },
    });
    const read = CasResource.parse(await cluster.apply(everything));
    for (const object of planCas(read, { image: "r.example/cas:1" }, { allowsNodeDirectories: true })) await cluster.apply(object);
    await cluster.apply(planBackupJob(read, "node-1", { image: "r.example/cas:1" }));
  });

  await t.test("CL-43: a name of more than 15 characters is refused by the API server itself", async () => {
    await assert.rejects(cluster.apply(cas("a-name-with-more-than-15")), /at most 15 characters/);
  });

  await t.test("CL-68, CL-69: a policy without one of its fields is refused", async () => {
    const policy = (spec: object, kind = "EncryptedPolicy") => ({
      apiVersion: "cas.scone.cloud/v1beta1",
      kind,
      metadata: { name: "p", namespace: "default" },
      spec,
    });
    const whole = { casAddress: "https://cas.default:8081", policy: "{}", encryptionKey: "00" };
    EncryptedPolicyResource.parse(await cluster.apply(policy(whole)));
    for (const field of ["casAddress", "policy", "encryptionKey"]) {
      await assert.rejects(
        cluster.create({ ...policy({ ...whole, [field]: undefined }), metadata: { name: "q", namespace: "default" } }),
        /Required value/,
      );
    }
    await assert.rejects(cluster.apply(policy({ ...whole, casAddress: "http://cas" })), /casAddress/);
    const signed = { casAddress: "https://cas.default:8081", policy: "name: x", signatures: [{ signer: "s", signature: "AAAA" }] };
    PolicyResource.parse(await cluster.apply(policy(signed, "SignedPolicy")));
    for (const field of ["casAddress", "policy", "signatures"]) {
      const { [field as keyof typeof signed]: _, ...rest } = signed;
      await assert.rejects(
        cluster.create({ ...policy(rest, "SignedPolicy"), metadata: { name: "q", namespace: "default" } }),
        /Required value/,
      );
    }
  });

  await t.test("CL-61, CL-62: states are written through the status of each kind", async () => {
    await cluster.merge(cas("cas"), { status: { state: "HEALTHY", phase: "Provisioned", version: "0.1.0" } }, "status");
    assert.equal(CasResource.parse(await cluster.find(cas("cas"))).status.state, "HEALTHY");
    await assert.rejects(cluster.merge(cas("cas"), { status: { state: "FINE" } }, "status"), /Unsupported value/);
  });
});

/** A definition is served a moment after it was created. */
async function applyWhenKnown(cluster: Cluster, object: Parameters<Cluster["apply"]>[0]): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await cluster.apply(object);
      return;
    } catch (error) {
      if (attempt === 50) throw error;
      await sleep(100);
    }
  }
}
