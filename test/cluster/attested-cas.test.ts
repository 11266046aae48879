import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { eventually, isOwnCluster, openCluster, preparePlatform, reasonNotToRun } from "./cluster.ts";
import { makeDatabaseVolume } from "./database-volume.ts";
import { stepsOf } from "./patient-service.ts";
import { publishSimulatedCas, SIMULATED_ROOT } from "./simulated-image.ts";

const OTHER_CODE = "00".repeat(32);

/* cli.md sections 9 and 10 on a real cluster: a CAS that gives evidence about itself, and everybody who judges it. */
test("a CAS that proves itself on a real Kubernetes: kubectl provision, the operator and the probes judge its evidence", {
  timeout: 30 * 60_000,
}, async (t) => {
  const reason = reasonNotToRun() ?? (isOwnCluster() ? "its image is made in the registry of the test cluster" : undefined);
  if (reason !== undefined) return t.diagnostic(`not run: ${reason}`);
  const cluster = await openCluster(t);
  const { namespace, directory, environment, run, shell } = cluster;
  await preparePlatform(cluster);
  const step = stepsOf(t);
  const image = await publishSimulatedCas(cluster);
  const { persistence } = await makeDatabaseVolume(cluster, "proof");
  await run("vouchsafe", "self", "show-key-hash"); // makes the client's key
  const client = JSON.parse(await readFile(join(environment["SCONECTL_CAS_CONFIG"] ?? "", "config.json"), "utf8"));
  await writeFile(join(directory, "owner.key"), createPrivateKey(client.identity_key).export({ type: "pkcs8", format: "pem" }), {
    mode: 0o600,
  });
  const owner = await shell("openssl req -x509 -key owner.key -subj /CN=owner -days 2 2>/dev/null");
  await writeFile(
    join(directory, "proof.yaml"),
    `apiVersion: services.scone.cloud/v1beta1
kind: CAS
metadata: {name: proof, namespace: ${namespace}}
spec:
  image: ${image}
  imagePullSecrets: [{name: sconeapps}]
  persistence: ${persistence}
  collateral: {offline: true, caCertificate: ${JSON.stringify(owner)}}
`,
  );
  const provision = (...argv: readonly string[]) => run("kubectl", "provision", "cas", "proof", "-n", namespace, ...argv);
  const kubectl = (...argv: readonly string[]) => run("kubectl", "-n", namespace, ...argv);
  const read = async (field: string) => (await kubectl("get", "cas", "proof", "-o", `jsonpath={${field}}`)).trim();
  const patch = (spec: object) => kubectl("patch", "cas", "proof", "--type=merge", "-p", JSON.stringify({ spec }));
  const refused = (command: Promise<unknown>, says: RegExp) =>
    assert.rejects(command, (error: Error) => {
      assert.match(error.message, says);
      assert.doesNotMatch(error.message, /export CAS_KEY/);
      return true;
    });
  const becomes = (what: string, state: string, attestable: string, timeoutMs = 240_000) =>
    eventually(
      what,
      async () => ((await read(".status.state")) === state && (await read(".status.attestable")) === attestable ? true : undefined),
      timeoutMs,
    );
  let code = "";
  let key = "";

  await step("CL-46, C-64: a CAS whose evidence nobody vouches for is not owned, and the operator says the same", async () => {
    await refused(provision("-f", "proof.yaml"), /E-CAS-ATTESTATION[\s\S]*the evidence of kind simulated proves nothing/);
    await becomes("the operator refuses it", "UNHEALTHY", "Failed");
    assert.equal(await read(".status.phase"), "AttestationFailure");
    await refused(provision("--is-provisioned"), /NO[\s\S]*proves nothing/);
  });

  await step("C-66, C-71: nor one of another MRENCLAVE; found and expected are named", async () => {
    await writeFile(join(directory, "root.pem"), await kubectl("exec", "proof-0", "--", "cat", SIMULATED_ROOT));
    await refused(
      provision("--only_for_testing-simulated-root", "root.pem", "--mrenclave", OTHER_CODE),
      new RegExp(`measurement does not match: [0-9a-f]{64}; expected ${OTHER_CODE}`),
    );
    const asked = provision("--only_for_testing-simulated-root", "root.pem", "--print-public-keys");
    code = await asked.then(
      () => assert.fail("nothing was named"),
      (error: Error) => /accept it with: --mrenclave ([0-9a-f]{64})/.exec(error.message)?.[1] ?? assert.fail(error.message),
    );
  });

  await step(
    "CL-46, CL 10.2: with the right one it is taken over, HEALTHY and attestable; its report is judged elsewhere without it",
    async () => {
      await provision("--only_for_testing-simulated-root", "root.pem", "--mrenclave", code);
      await becomes("the operator accepts it", "HEALTHY", "Yes");
      key = await read(".status.keyHash");
      const script = `
      kubectl -n ${namespace} get cas proof -o json > resource.json
      jq -r .status.dcapReport resource.json | base64 -d > report.json
      vouchsafe cas attest proof.${namespace} -c ${key} --only_for_testing-simulated-root root.pem --mrenclave ${code} \\
        --offline-report report.json --nonce "$(jq -r .status.nonce resource.json)"`;
      assert.match(await shell(script, { SCONECTL_CAS_CONFIG: join(directory, "verifier") }), /is trustworthy/);
    },
  );

  await step(
    "CL-48, CL-50: keys are printed without a further word to whoever attested the CAS, and never against its evidence",
    async () => {
      assert.match(await provision("--print-public-keys"), new RegExp(`^export CAS_KEY="${key}"`));
      await refused(provision("--print-public-keys", "--mrenclave", OTHER_CODE), /measurement does not match/);
      await refused(provision("--verify", "--mrenclave", OTHER_CODE), /measurement does not match/);
      assert.match(await provision("--verify"), /is set up/);
    },
  );

  await step("CL-60: what the resource accepts decides at once, in both directions, with an Event", async () => {
    await patch({ attestation: { mrenclave: [OTHER_CODE] } });
    await becomes("the operator refuses it", "UNHEALTHY", "Failed");
    const events = ["get", "events", "--field-selector", "involvedObject.name=proof", "-o", "jsonpath={.items[*].message}"];
    const says = new RegExp(`measurement does not match: ${code}`);
    await eventually("an Event says why", async () => (says.test(await kubectl(...events)) ? true : undefined)); // written after the status
    await patch({ attestation: { mrenclave: [code] } });
    await becomes("it recovers by itself", "HEALTHY", "Yes");
  });

  await step(
    "CL 10.1: attestedCLIProbes: the probes attest the CAS by key and evidence; refused, it is started again until it is right",
    async () => {
      await patch({ attestedCLIProbes: true, livenessProbe: { periodSeconds: 10, failureThreshold: 2, timeoutSeconds: 60 } });
      await provision(); // pins its key, and waits for a look at the new pod
      assert.equal(await read(".spec.attestation.casKeyHash"), key);
      const probe = ["get", "pod", "proof-0", "-o", "jsonpath={.spec.containers[0].livenessProbe.exec.command}"];
      await eventually("the pod is probed so", async () => (/"probe"/.test(await kubectl(...probe)) ? true : undefined));
      await patch({ attestation: { mrenclave: [OTHER_CODE] } });
      await eventually(
        "a probe refuses it",
        async () =>
          /probe failed: the CAS is refused: measurement does not match/.test(
            await kubectl("get", "events", "--field-selector", "involvedObject.name=proof-0", "-o", "jsonpath={.items[*].message}"),
          )
            ? true
            : undefined,
        300_000,
      );
      await patch({ attestation: { mrenclave: [code] } });
      await becomes("it is right again", "HEALTHY", "Yes", 420_000);
      assert.equal(await read(".status.keyHash"), key);
    },
  );

  await step("CL 10.1: reinstallOnFatal: a StatefulSet that cannot be changed is made anew on the same volume", async () => {
    const uid = () => kubectl("get", "statefulset", "proof", "-o", "jsonpath={.metadata.uid}");
    const first = await uid();
    await patch({ persistence: { size: "65Mi" } });
    const told = "jsonpath={.status.conditions[?(@.type=='Reconciled')].message}";
    await eventually("the refusal is told", async () =>
      /spec\.reinstallOnFatal/.test(await kubectl("get", "cas", "proof", "-o", told)) ? true : undefined,
    );
    assert.equal(await uid(), first);
    await patch({ reinstallOnFatal: true });
    await eventually("it is made anew", async () => ((await uid()) === first ? undefined : true));
    await provision("--wait");
    assert.equal(await read(".status.keyHash"), key);
    assert.equal((await provision("--is-provisioned")).trim(), "YES");
  });
  return undefined;
});
