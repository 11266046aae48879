import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSession } from "@vouchsafe/policy";
import { parse } from "yaml";
import { meshRecord, type PlainMapping, policyText, readablePolicy } from "../src/index.ts";
import { CAS_KEY, CODE_KEY, codeIdentityOf, curatedImage, ENCRYPTION_KEY, imageOf, planOf, SIGNER } from "../src/testing/mesh-fixture.ts";

/** Manifests section 16: a ticket kiosk with a Redis store. */
const KIOSK = `
apiVersion: scone/5.8
kind: genservice
environment:
  local:
    - {name: SCONE_HEAP, value: 512M}
    - {name: ADMIN_PIN, value: "$$SCONE::kiosk_pin:hex$$"}
    - {name: INIT_CONTAINER1_ENABLE, value: "true"}
    - {name: INIT_CONTAINER1, value: "{{STORE_HOST}}"}
    - {name: INIT_CONTAINER1_PORT, value: "{{STORE_PORT}}"}
  global:
    - name: STORE_HOST
    - {name: STORE_PORT, value: 6379}
injection_files:
  - {path: /pki/store-ca.pem, content: "$$SCONE::redis_ca_cert.chain$$"}
  - {path: /pki/me.pem, content: "$$SCONE::redis_client_cert.crt$$"}
  - {path: /pki/me.key, content: "$$SCONE::redis_client_cert.key$$", permission: 0o400}
secrets:
  import: [redis_client_cert, redis_ca_cert]
  global:
    - {name: kiosk_pin, kind: binary, size: 4}
build:
  name: ticket-kiosk
  kind: python
  to: reg.example.org/expo/kiosk:3
  pwd: /srv
  command: python3 kiosk.py --hall "Hall 9"
  requirements: reqs.txt
  copy: [kiosk.py, static]
`;
const mesh = (release: string, extra = "") => `
apiVersion: scone/5.8
kind: mesh
cas:
  - name: cas
    alias: [image, security, access, attestation]
    cas_url: cas.scone-system
    cas_key: ${CAS_KEY}
    cas_encryption_key: ${ENCRYPTION_KEY}
    mode: EncryptedManifest
policy:
  namespace: expo-2041-77
  tolerate: outdated-tcb, hyperthreading
env:
  - service: global
    env:
      - {name: STORE_HOST, value: ${release}-redis}
      - {name: redis_server_name, value: ${release}-redis}
      - {name: APP_SERVICE_PORT, value: 8443}
  - service: kiosk
    env:
      - {name: APP_SERVICE_PORT, value: 9443}
services:
  - {name: kiosk, image: "reg.example.org/expo/kiosk:3"}
  - {name: redis, image: "reg.example.org/vouchsafe/redis:1.0"}
${extra}`;

const kiosk = imageOf(KIOSK, { encrypted: true });
function fairPlan(release: string | undefined = "fair", text = mesh(release ?? "")) {
  const { plan, diagnostics } = planOf(text, { kiosk, redis: curatedImage("redis") }, { release });
  assert(plan !== undefined, JSON.stringify(diagnostics));
  return { plan, diagnostics };
}
const bodyOf = (name: string, { plan } = fairPlan()): PlainMapping => {
  const found = plan.policies.find((policy) => policy.name === name);
  assert(found !== undefined, name);
  return found.body;
};

test("AC-2: policies in upload order, their resources, service IDs", () => {
  const { plan, diagnostics } = fairPlan();
  assert.deepEqual(diagnostics, []);
  assert.deepEqual(
    plan.policies.map(({ name, resource }) => [name, resource]),
    [
      ["expo-2041-77", "expo-2041-77"],
      ["expo-2041-77/redis", "expo-2041-77-redis"],
      ["expo-2041-77/kiosk", "expo-2041-77-kiosk"],
    ],
  );
  assert.deepEqual(
    plan.services.map(({ prepared }) => prepared.serviceId),
    ["expo-2041-77/kiosk/python3", "expo-2041-77/redis/redis-server"],
  );
});

test("AC-2: the policy of the kiosk", () => {
  const identities = ["sgx", "tdx", "snp", "nitro"].map((kind) =>
    codeIdentityOf(kind, { imageDigest: kiosk.digest, fileSystemTag: "7a".repeat(16) }),
  );
  assert.deepEqual(parse(readablePolicy(bodyOf("expo-2041-77/kiosk"))), {
    name: "expo-2041-77/kiosk",
    version: "0.3.12",
    salt: bodyOf("expo-2041-77/kiosk")["salt"],
    creator: { signer: SIGNER },
    access_policy: { read: [CAS_KEY], update: [{ signer: SIGNER }] },
    services: [
      {
        name: "python3",
        image_name: "kiosk_image",
        command: ["python3", "kiosk.py", "--hall", "Hall 9"],
        pwd: "/srv",
        environment: { ADMIN_PIN: "$$SCONE::kiosk_pin:hex$$", STORE_HOST: "fair-redis", STORE_PORT: "6379" },
        attestation: [{ mrenclave: identities }],
        fspf_path: "/vouchsafe/code.fspf",
        fspf_key: "***",
        fspf_tag: "7a".repeat(16),
      },
    ],
    images: [
      {
        name: "kiosk_image",
        injection_files: [
          { path: "/pki/store-ca.pem", content: "$$SCONE::redis_ca_cert.chain$$" },
          { path: "/pki/me.pem", content: "$$SCONE::redis_client_cert.crt$$" },
          { path: "/pki/me.key", content: "$$SCONE::redis_client_cert.key$$", permission: "0o400" },
        ],
      },
    ],
    secrets: [
      { name: "kiosk_pin", kind: "binary", size: 4 },
      { name: "redis_client_cert", kind: "x509", import: { session: "expo-2041-77/redis", secret: "redis_client_cert" } },
      { name: "redis_ca_cert", kind: "x509-ca", import: { session: "expo-2041-77/redis", secret: "redis_ca_cert" } },
    ],
    security: { attestation: { mode: "hardware", tolerate: ["outdated-tcb", "hyperthreading"] } },
  });
});

test("AC-2, MF-77, MF-79, MF-80: the store exports certificate, its key and the CA, never the CA's key", () => {
  const secrets = bodyOf("expo-2041-77/redis")["secrets"];
  assert(Array.isArray(secrets));
  const exported = secrets.flatMap((secret: PlainMapping) => (secret["export"] === undefined ? [] : [[secret["name"], secret["export"]]]));
  const toKiosk = [{ session: "expo-2041-77/kiosk" }];
  assert.deepEqual(exported, [
    ["redis_ca_cert", toKiosk],
    ["redis_client_key", toKiosk],
    ["redis_client_cert", toKiosk],
  ]);
  assert.deepEqual(secrets.find((secret: PlainMapping) => secret["name"] === "redis")?.["san"], ["dns:fair-redis", "dns:redis"]);
});

test("AC-2: chart values: ports, host names, the init container, the pull secret", () => {
  const [ofKiosk, ofRedis] = fairPlan().plan.services;
  assert.deepEqual(ofKiosk?.chart.values["service"], { type: "ClusterIP", port: 9443, annotations: {} });
  assert.deepEqual(ofRedis?.chart.values["service"], { type: "ClusterIP", port: 6379, annotations: {} });
  assert.deepEqual([ofKiosk?.chart.values["fullnameOverride"], ofRedis?.chart.values["fullnameOverride"]], ["fair-kiosk", "fair-redis"]);
  assert.deepEqual(ofKiosk?.chart.values["imagePullSecrets"], [{ name: "sconeapps" }]);
  assert.match(String(ofKiosk?.chart.values["image"]), /^reg\.example\.org\/expo\/kiosk:3@sha256:[0-9a-f]{64}$/);
  const record = meshRecord(fairPlan().plan, []);
  assert.deepEqual(
    record.services.map(({ name, waitFor, ports }) => ({ name, waitFor, ports })),
    [
      { name: "kiosk", waitFor: [{ host: "fair-redis", port: 6379 }], ports: [{ port: 9443, publish: true }] },
      { name: "redis", waitFor: [], ports: [{ port: 6379, publish: false }] },
    ],
  );
});

test("MF 8.2: every generated policy is valid in the policy language", () => {
  for (const { name, body } of fairPlan().plan.policies) {
    const { session, diagnostics } = parseSession(policyText(body, null), { file: name });
    // The historical formats .crt and .key are what existing manifests use.
    assert.deepEqual(
      diagnostics.filter(({ rule }) => rule !== "SL-116"),
      [],
    );
    assert.equal(session?.name, name);
  }
});

test("AC-5: another release changes host names and the certificate, and nothing else of the policies", () => {
  const fair = policyText(bodyOf("expo-2041-77/redis"), null);
  const gala = policyText(bodyOf("expo-2041-77/redis", fairPlan("gala")), null);
  assert.notEqual(fair, gala);
  assert.equal(gala.replaceAll("gala-redis", "fair-redis"), fair);
});

test("AC-12: two services of one image have policies, objects and identities of their own", () => {
  const text = mesh("fair", '  - {name: second, image: "reg.example.org/expo/kiosk:3"}\n');
  const { plan, diagnostics } = planOf(text, { kiosk, second: kiosk, redis: curatedImage("redis") }, { release: "fair" });
  assert(plan !== undefined, JSON.stringify(diagnostics));
  assert.deepEqual(
    plan.services.map(({ prepared }) => prepared.objectName),
    ["fair-kiosk", "fair-redis", "fair-second"],
  );
  assert.notDeepEqual(
    bodyOf("expo-2041-77/kiosk", { plan, diagnostics: [] })["salt"],
    bodyOf("expo-2041-77/second", { plan, diagnostics: [] })["salt"],
  );
});

test("AC-9, hazard H9: no local value, code key or secret reference is in the chart's values", () => {
  const charts = JSON.stringify(fairPlan().plan.services.map(({ chart }) => [chart.values, chart.extra]));
  for (const secret of [CODE_KEY, "kiosk_pin", "ADMIN_PIN", "$$SCONE"]) assert.ok(!charts.includes(secret), secret);
});

test("MF-97: the readable policy shows neither the code key nor explicit values", () => {
  const body = { ...bodyOf("expo-2041-77/kiosk"), secrets: [{ name: "a", kind: "ascii", value: "my-secret-value" }] };
  const text = readablePolicy(body);
  assert.doesNotMatch(text, /my-secret-value/);
  assert.ok(!text.includes(CODE_KEY));
});

test("MF-116: without a release, waits name the service and the chart adds the release", () => {
  const text = mesh("x").replace(/ {4}- \{name: INIT.*\n/g, "");
  const plain = imageOf(KIOSK.replace(/ {4}- \{name: INIT.*\n/g, ""), { encrypted: true });
  const { plan } = planOf(text, { kiosk: plain, redis: curatedImage("redis") });
  assert.deepEqual(plan?.services[0]?.chart.values["fullnameOverride"], "");
  assert.deepEqual((plan?.services[0]?.chart.values["initContainers"] as PlainMapping | undefined)?.["waitFor"], [
    { service: "redis", port: 6379 },
  ]);
});
