import assert from "node:assert/strict";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { eventually, openCluster, preparePlatform, reasonNotToRun } from "./cluster.ts";

const EXAMPLE = join(import.meta.dirname, "..", "..", "examples", "patient-records");

test("the patient records application on a real Kubernetes, under Pod Security restricted", { timeout: 30 * 60_000 }, async (t) => {
  const reason = reasonNotToRun();
  if (reason !== undefined) return t.diagnostic(`not run: ${reason}`);
  const cluster = await openCluster(t);
  const { namespace, directory, repository, run, shell } = cluster;
  await cp(EXAMPLE, directory, { recursive: true });
  const variables = {
    APP_IMAGE_REPO: `${repository}/app`,
    APP_NAMESPACE: `${namespace}-policies`,
    RELEASE: "clinic",
    CAS_URL: `cas.${namespace}`,
    NAMESPACE: namespace,
  };
  const pod = async (service: string) =>
    (await run("kubectl", "-n", namespace, "get", "pods", "-l", `app.kubernetes.io/name=${service}`, "-o", "name")).trim();
  const installMesh = async () => {
    await shell(
      `source <(kubectl provision cas cas -n ${namespace} --print-public-keys); SCONE='$SCONE' envsubst < mesh.yaml.template > mesh.yaml; sconectl apply -f mesh.yaml --release clinic --set-version 0.1.0`,
      variables,
    );
    await run("helm", "upgrade", "--install", "--namespace", namespace, "clinic", "target/helm");
  };
  // Each step builds on the ones before it: after a failure the rest would only wait.
  let hasFailed = false;
  const step = (name: string, work: () => Promise<void>) =>
    t.test(name, async () => {
      assert(!hasFailed, "an earlier step failed");
      hasFailed = true;
      await work();
      hasFailed = false;
    });
  const record =
    "fname=Jane&lname=Doe&address=1 Main Street&city=Richmond&state=Washington&ssn=1&email=a@b.c&dob=01/01/2010&contactphone=1&drugallergies=none&preexistingconditions=none&dateadmitted=01/05/2010&insurancedetails=none";

  await step("publish, init and provision prepare the cluster", async () => {
    await preparePlatform(cluster);
    assert.match(await run("kubectl", "get", "las"), /HEALTHY/);
    assert.match(await run("kubectl", "get", "sgxplugin"), /HEALTHY/);
    await run("kubectl", "provision", "cas", "cas", "-n", namespace);
    assert.equal((await run("kubectl", "provision", "cas", "cas", "-n", namespace, "--is-provisioned")).trim(), "YES");
    assert.equal((await run("kubectl", "get", "cas", "cas", "-n", namespace, "-o", "jsonpath={.status.state}")).trim(), "HEALTHY");
  });

  await step("CL-46, CL-48: provisioning again succeeds, and the printed keys are what a shell can read", async () => {
    await run("kubectl", "provision", "cas", "cas", "-n", namespace);
    const read = `source <(kubectl provision cas cas -n ${namespace} --print-public-keys 2>/dev/null); echo $CAS_KEY $CAS_SESSION_ENCRYPTION_KEY; echo "$CAS_CERT"`;
    assert.match(await shell(read), /^[1-9A-HJ-NP-Za-km-z]{50} [0-9a-f]{64}\n-----BEGIN CERTIFICATE-----/);
  });

  await step("both services are attested and serve over mutual TLS", async () => {
    await shell(
      "SCONE='$SCONE' envsubst < service.yaml.template > service.yaml; sconectl apply -f service.yaml --set-version 0.1.0",
      variables,
    );
    await installMesh();
    for (const service of ["redis", "flask"])
      await run("kubectl", "-n", namespace, "rollout", "status", `deployment/clinic-${service}`, "--timeout=150s");
    const address = (await run("kubectl", "-n", namespace, "get", "service", "clinic-flask", "-o", "jsonpath={.spec.clusterIP}")).trim();
    // The pod is ready when the program was attested and started; Flask needs a moment more until it listens.
    await eventually("the service answers", () => run("curl", "-sSfk", "-X", "POST", `https://${address}:4996/patient/p1`, "-d", record));
    assert.match(await run("curl", "-sSfk", `https://${address}:4996/patient/p1`), /"fname": "Jane"/);
  });

  await step("kubectl exec sees no injected file, no plaintext code and no environment of the program", async () => {
    const look =
      "ls -d /tls /app/api.py 2>/dev/null; cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -i REDIS_HOST; ls -d /proc/[0-9]*/root/tls 2>/dev/null; true";
    assert.equal((await run("kubectl", "-n", namespace, "exec", await pod("flask"), "-c", "api", "--", "sh", "-c", look)).trim(), "");
  });

  await step("hazard I1: the same image started with another program, or with a file of the image hidden, gets no evidence", async () => {
    const image = (
      await run("kubectl", "-n", namespace, "get", "deployment", "clinic-redis", "-o", "jsonpath={.spec.template.spec.containers[0].image}")
    ).trim();
    const changed = [
      {
        name: "other-program",
        patch: [
          {
            op: "replace",
            path: "/spec/template/spec/containers/0/command",
            value: ["/vouchsafe/runtime/bin/node", "/vouchsafe/runtime/main.js"],
          },
        ],
      },
      {
        name: "hidden-file",
        patch: [
          { op: "add", path: "/spec/template/spec/volumes/-", value: { name: "over", emptyDir: {} } },
          { op: "add", path: "/spec/template/spec/containers/0/volumeMounts/-", value: { name: "over", mountPath: "/usr/lib" } },
        ],
      },
    ];
    assert.match(image, /@sha256:/);
    for (const { name, patch } of changed) {
      // Changed before it is created: a pod of the unchanged deployment would start, and rightly so.
      await shell(`kubectl -n ${namespace} get deployment clinic-redis -o json |
        jq '{apiVersion, kind, metadata: {name: "${name}"}, spec: {selector: {matchLabels: {app: "${name}"}}, template: (.spec.template | .metadata.labels = {app: "${name}"})}}' |
        kubectl patch --local -f - --type=json -o json -p '${JSON.stringify(patch)}' |
        kubectl -n ${namespace} create -f - >/dev/null`);
      const log = await eventually(`the refusal of ${name}`, async () => {
        const text = await run("kubectl", "-n", namespace, "logs", "-l", `app=${name}`, "--tail=20", "--prefix");
        return /agent refuses|cannot open shared object|error/.test(text) ? text : undefined;
      });
      assert.doesNotMatch(log, /started after/);
      await run("kubectl", "-n", namespace, "delete", "deployment", name, "--wait=false");
    }
  });

  await step("hazard I10: a restarted node agent is the same to the CAS, and running services keep serving", async () => {
    await run("kubectl", "-n", "scone-system", "delete", "pod", "-l", "app.kubernetes.io/name=las");
    await eventually("LAS is healthy again", async () => (/ HEALTHY/.test(await run("kubectl", "get", "las")) ? true : undefined));
    await run("kubectl", "-n", namespace, "delete", "pod", (await pod("redis")).replace("pod/", ""));
    await run("kubectl", "-n", namespace, "rollout", "status", "deployment/clinic-redis", "--timeout=150s");
  });

  await step("the same again updates and succeeds; uninstall leaves no pod and keeps the policies", async () => {
    await installMesh();
    await run("kubectl", "-n", namespace, "rollout", "status", "deployment/clinic-flask", "--timeout=150s");
    await run("helm", "uninstall", "--namespace", namespace, "clinic");
    await eventually("all pods are gone", async () => {
      const left = await run("kubectl", "-n", namespace, "get", "pods", "-l", "app.kubernetes.io/instance=clinic", "-o", "name");
      return left.trim() === "" ? true : undefined;
    });
    assert.match(await run("kubectl", "-n", namespace, "get", "epol"), /UPLOADED/);
  });
  return undefined;
});
