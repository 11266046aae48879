import assert from "node:assert/strict";
import { test } from "node:test";
import { CAS_SPEC } from "../custom-resources/cas-schema.ts";
import { CasResource } from "../custom-resources/resources.ts";
import type { Schema } from "../custom-resources/schema.ts";
import { planBackupJob } from "./backup-objects.ts";
import { planCas } from "./cas-objects.ts";

/* cli.md section 10.1, line by line: what each field of a CAS resource changes in the cluster. */

const PLACE = { allowsNodeDirectories: true };
const release = { image: "r/cas:1" };
const resource = (spec: object) => CasResource.parse({ metadata: { name: "cas", namespace: "ns", uid: "u" }, spec });
const planned = (spec: object): string => JSON.stringify(planCas(resource(spec), release, PLACE));
const job = (spec: object): string => JSON.stringify(planBackupJob(resource(spec), "n1", release));
const persistent = (more: object) => ({ persistence: { enabled: true, ...more } });
const snapshots = (more: object) => ({ databaseSnapshots: { enabled: true, ...more } });
const kept = (more: object) => snapshots({ persistence: { enabled: true, ...more } });
const collateral = (more: object) => ({ collateral: more });

/** By path: the wish, and what it gives that is not there without it. */
const EFFECTS: Readonly<Record<string, readonly [wish: object, gives: RegExp]>> = {
  image: [{ image: "other" }, /"image":"other"/],
  imagePullPolicy: [{ imagePullPolicy: "Never" }, /"imagePullPolicy":"Never"/],
  imagePullSecrets: [{ imagePullSecrets: [{ name: "s" }] }, /"imagePullSecrets":\[\{"name":"s"\}\]/],
  nodeSelector: [{ nodeSelector: { a: "b" } }, /"nodeSelector":\{"a":"b"\}/],
  tolerations: [{ tolerations: [{ key: "sgx", operator: "Exists" }] }, /"tolerations":\[\{"key":"sgx"/],
  resources: [{ resources: { limits: { memory: "1Gi" } } }, /"resources":\{"limits":\{"memory":"1Gi"\}\}/],
  podAnnotations: [{ podAnnotations: { x: "y" } }, /"annotations":\{"x":"y"/],
  "service.type": [{ service: { type: "LoadBalancer" } }, /"type":"LoadBalancer"/],
  "service.clientPort": [{ service: { clientPort: 9001 } }, /"name":"client","port":9001/],
  "service.enclavePort": [{ service: { enclavePort: 9002 } }, /"name":"enclave","port":9002/],
  "service.nodePorts.clientPort": [{ service: { nodePorts: { clientPort: 30081 } } }, /"port":8081[^}]*"nodePort":30081/],
  "service.nodePorts.enclavePort": [{ service: { nodePorts: { enclavePort: 30082 } } }, /"port":18765[^}]*"nodePort":30082/],
  "service.loadBalancerIP": [{ service: { loadBalancerIP: "10.0.0.9" } }, /"loadBalancerIP":"10\.0\.0\.9"/],
  "service.annotations": [{ service: { annotations: { a: "b" } } }, /"kind":"Service","metadata":\{[^}]*.*?"annotations":\{"a":"b"\}/],
  "persistence.enabled": [persistent({}), /"volumeClaimTemplates":\[\{[^[]*"name":"database"/],
  "persistence.size": [persistent({ size: "7Gi" }), /"storage":"7Gi"/],
  "persistence.storageClass": [persistent({ storageClass: "-" }), /"storageClassName":""/],
  "persistence.accessModes": [persistent({ accessModes: ["ReadWriteOncePod"] }), /"accessModes":\["ReadWriteOncePod"\]/],
  "persistence.mountPath": [{ persistence: { mountPath: "/db" } }, /"name":"database","mountPath":"\/db"/],
  "databaseSnapshots.enabled": [snapshots({}), /\[database_snapshots\]/],
  "databaseSnapshots.interval": [snapshots({ interval: "9m" }), /interval = \\"9m\\"/],
  "databaseSnapshots.targetDirectory": [snapshots({ targetDirectory: "/copies" }), /"name":"snapshots","mountPath":"\/copies"/],
  "databaseSnapshots.persistence.enabled": [kept({}), /"volumeClaimTemplates":\[\{[^[]*"name":"snapshots"/],
  "databaseSnapshots.persistence.size": [kept({ size: "8Gi" }), /"storage":"8Gi"/],
  "databaseSnapshots.persistence.storageClass": [kept({ storageClass: "slow" }), /"storageClassName":"slow"/],
  "databaseSnapshots.persistence.accessModes": [kept({ accessModes: ["ReadWriteMany"] }), /"accessModes":\["ReadWriteMany"\]/],
  "backup-controller.enabled": [
    { ...persistent({}), "backup-controller": { enabled: true } },
    /"--platform-key","\/var\/lib\/vouchsafe-platform/,
  ],
  "collateral.intel": [collateral({ intel: ["https://pccs"] }), /intel = \[\\"https:\/\/pccs\\"\]/],
  "collateral.amd": [collateral({ amd: ["https://kds"] }), /amd = \[\\"https:\/\/kds\\"\]/],
  "collateral.bundles": [
    collateral({ bundles: [{ configMap: "c", key: "b.json" }] }),
    /bundles = \[\\"\/etc\/vouchsafe-collateral\/c\/b\.json/,
  ],
  "collateral.caCertificate": [collateral({ caCertificate: "PEM" }), /"collateral-ca\.pem":"PEM"/],
  "collateral.offline": [collateral({ offline: true }), /offline = true/],
  "collateral.update": [collateral({ update: "early" }), /update = \\"early\\"/],
  "collateral.maxAgeDays": [collateral({ maxAgeDays: 3 }), /max_age_days = 3\\n/],
  "collateral.refreshHours": [collateral({ refreshHours: 5 }), /refresh_hours = 5\\n/],
  "collateral.timeoutSeconds": [collateral({ timeoutSeconds: 99 }), /timeout_seconds = 99/],
  "livenessProbe.enabled": [
    { livenessProbe: { enabled: true, periodSeconds: 61 } },
    /"livenessProbe":\{[^}]*\},"failureThreshold":3,"periodSeconds":61/,
  ],
  "livenessProbe.failureThreshold": [{ livenessProbe: { failureThreshold: 8 } }, /"livenessProbe":\{[^}]*\},"failureThreshold":8/],
  "livenessProbe.periodSeconds": [
    { livenessProbe: { periodSeconds: 7 } },
    /"livenessProbe":\{[^}]*\},"failureThreshold":3,"periodSeconds":7/,
  ],
  "livenessProbe.timeoutSeconds": [{ livenessProbe: { timeoutSeconds: 6 } }, /"livenessProbe":\{[^}]*\}[^}]*"timeoutSeconds":6/],
  "livenessProbe.initialDelaySeconds": [
    { livenessProbe: { initialDelaySeconds: 5 } },
    /"livenessProbe":\{[^}]*\}[^}]*"initialDelaySeconds":5/,
  ],
  "startupProbe.enabled": [
    { startupProbe: { enabled: true, periodSeconds: 2 } },
    /"startupProbe":\{[^}]*\},"failureThreshold":6,"periodSeconds":1/,
  ],
  "startupProbe.failureThreshold": [{ startupProbe: { failureThreshold: 8 } }, /"startupProbe":\{[^}]*\},"failureThreshold":480/],
  "startupProbe.periodSeconds": [
    { startupProbe: { periodSeconds: 4 } },
    /"startupProbe":\{[^}]*\},"failureThreshold":12,"periodSeconds":1/,
  ],
  "startupProbe.timeoutSeconds": [{ startupProbe: { timeoutSeconds: 6 } }, /"startupProbe":\{[^}]*\}[^}]*"timeoutSeconds":6/],
  "startupProbe.initialDelaySeconds": [
    { startupProbe: { initialDelaySeconds: 5 } },
    /"startupProbe":\{[^}]*\}[^}]*"initialDelaySeconds":5/,
  ],
  attestedCLIProbes: [{ attestedCLIProbes: true }, /"livenessProbe":\{"exec":\{"command":\["\/vouchsafe\/bin\/launcher","probe"/],
  "networkPolicy.enabled": [{ networkPolicy: { enabled: true } }, /"kind":"NetworkPolicy"/],
  "networkPolicy.ingressNSMatchLabels": [
    { networkPolicy: { enabled: true, ingressNSMatchLabels: { team: "a" } } },
    /"namespaceSelector":\{"matchLabels":\{"team":"a"\}\}/,
  ],
  "networkPolicy.ingressPodMatchLabels": [
    { networkPolicy: { enabled: true, ingressPodMatchLabels: { app: "a" } } },
    /"podSelector":\{"matchLabels":\{"app":"a"\}\}/,
  ],
  configuration: [{ configuration: "[database]\n" }, /"cas\.toml":"\[database\]\\n"/],
  "attestation.evidence": [{ attestedCLIProbes: true, attestation: { evidence: "required" } }, /\\"evidence\\": \\"required\\"/],
  "attestation.casKeyHash": [{ attestedCLIProbes: true, attestation: { casKeyHash: "pinned" } }, /\\"casKeyHash\\": \\"pinned\\"/],
};

/** Fields whose effect is no object of the CAS, and what tests them. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  autoUpdate: "ignored for CAS (CL 10.1); named in FieldsHonoured: judge.test.ts",
  "backup-controller.session": "without effect, named in FieldsHonoured: judge.test.ts",
  "backup-controller.image": "of the pods that show a node: below, and backup-objects.test.ts",
  "backup-controller.env": "the same",
  "backup-controller.debug": "the same",
  "backup-controller.imagePullSecrets": "the same",
  "databaseSnapshots.persistence.mountPath": "the volume lies at targetDirectory, where the CAS writes",
  ownerConfig: "used by kubectl provision: provision-input.test.ts",
  ownerCertificate: "judged by the operator: judge.test.ts",
  nonce: "asked by the operator: attest-cas-resource.test.ts",
  reinstallOnFatal: "reinstall-workload.test.ts",
  ...Object.fromEntries(
    [
      "mrenclave",
      "mrsigner",
      "isvprodid",
      "isvsvn",
      "tolerate",
      "roots",
      "tpmEndorsementRoots",
      "tpmEndorsementKeys",
      "ownerSecretAccess",
    ].map((field) => [`attestation.${field}`, "judged by the operator and by probes: judge-cas-evidence.test.ts of protocol"]),
  ),
  ...Object.fromEntries(["debug", "ignoreSigner", "simulatedRoot"].map((field) => [`attestation.onlyForTesting.${field}`, "the same"])),
};

function leaves(schema: Schema, path = ""): readonly string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, child]) =>
    child.properties === undefined ? [`${path}${name}`] : leaves(child, `${path}${name}.`),
  );
}

test("CL 10.1: every field of a CAS resource has its effect, or a place that says why not", () => {
  assert.deepEqual([...Object.keys(EFFECTS), ...Object.keys(ELSEWHERE)].toSorted(), [...leaves(CAS_SPEC)].toSorted());
});

for (const [field, [wish, gives]] of Object.entries(EFFECTS)) {
  test(`CL 10.1: ${field} is honoured`, () => {
    assert.match(planned(wish), gives);
    assert.doesNotMatch(planned({}), gives);
  });
}

test("CL 10.1: probes that are not wanted are left out; nothing else answers for them", () => {
  assert.doesNotMatch(planned({ livenessProbe: { enabled: false } }), /"livenessProbe"/);
  assert.doesNotMatch(planned({ startupProbe: { enabled: false } }), /"startupProbe"/);
  assert.match(planned({}), /"livenessProbe":\{"httpGet":.*"startupProbe":\{|"startupProbe":\{"httpGet":.*"livenessProbe":\{/);
});

test("CL 10.1: image, env, debug and imagePullSecrets of the backup controller are those of the pods that show a node", () => {
  const wish = { image: "other", env: [{ name: "A", value: "b" }], debug: true, imagePullSecrets: [{ name: "s" }] };
  const made = job({ ...persistent({}), "backup-controller": { enabled: true, ...wish } });
  for (const gives of [/"image":"other"/, /"env":\[\{"name":"A"/, /"ttlSecondsAfterFinished":600/, /"imagePullSecrets":\[\{"name":"s"\}\]/])
    assert.match(made, gives);
});

test("CL 10.1, attestedCLIProbes: what probes accept changes without another pod", () => {
  const template = (spec: object) =>
    JSON.stringify(planCas(resource(spec), release, PLACE).find(({ kind }) => kind === "StatefulSet") ?? assert.fail("there is one"));
  const wish = { attestedCLIProbes: true };
  assert.equal(template(wish), template({ ...wish, attestation: { casKeyHash: "pinned", mrenclave: ["00".repeat(32)] } }));
});
