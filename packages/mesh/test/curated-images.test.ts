import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSession } from "@vouchsafe/policy";
import { imageDefaults } from "../src/image-defaults.ts";
import { type MeshPlan, type PlainMapping, type PlainValue, policyText } from "../src/index.ts";
import { curatedImage, imageOf, meshText, planOf } from "../src/testing/mesh-fixture.ts";

/** The shape of the document tutorial: nginx → api → MariaDB and memcached, with secrets named by variables. */
const API = `
apiVersion: scone/5.8
kind: genservice
environment:
  local:
    - {name: DB_PASSWORD, value: "$$SCONE::MYSQL_ROOT_PASSWORD$$"}
injection_files:
  - {path: /tls/db-ca.crt, content: "$$SCONE::MARIADB_CA_CERT.chain$$"}
  - {path: /tls/db.crt, content: "$$SCONE::MARIADB_CLIENT_CERT.crt$$"}
  - {path: /tls/db.key, content: "$$SCONE::MARIADB_CLIENT_CERT.key$$"}
  - {path: /tls/cache-ca.crt, content: "$$SCONE::MEMCACHED_CA_CERT.chain$$"}
  - {path: /tls/cache.crt, content: "$$SCONE::MEMCACHED_CLIENT_CERT.crt$$"}
  - {path: /tls/cache.key, content: "$$SCONE::MEMCACHED_CLIENT_CERT.key$$"}
  - {path: /tls/api.crt, content: "$$SCONE::api.crt$$"}
secrets:
  import: [MARIADB_CA_CERT, MARIADB_CLIENT_CERT, MYSQL_ROOT_PASSWORD, MEMCACHED_CA_CERT, MEMCACHED_CLIENT_CERT]
  global:
    - {name: api_ca_key, kind: private-key, migrate: true}
    - {name: API_CA_CERT, kind: x509-ca, private_key: api_ca_key}
    - {name: api_key, kind: private-key, migrate: true}
    - {name: api, kind: x509, private_key: api_key, issuer: API_CA_CERT, endpoint: server, dns: docs-api}
    - {name: api_client_key, kind: private-key, migrate: true}
    - {name: API_CLIENT_CERT, kind: x509, private_key: api_client_key, issuer: API_CA_CERT, endpoint: client}
build:
  name: api
  kind: python
  to: reg.example.org/docs/api
  command: python3 api.py
`;

const env = (...more: string[]): string =>
  [
    "env:",
    "  - service: global",
    "    env:",
    "      - {name: database_host, value: docs-mariadb}",
    "      - {name: memcached_host, value: docs-memcached}",
    "      - {name: nginx_server_name, value: docs-nginx}",
    "      - {name: nginx_backend_server_name, value: docs-api}",
    "      - {name: nginx_backend_server_port, value: 8000}",
    "      - {name: NGINX_BACKEND_CLIENT_CERT, value: API_CLIENT_CERT}",
    "      - {name: NGINX_BACKEND_CA_CERT, value: API_CA_CERT}",
    "      - name: sqlInitScript",
    "        value: |",
    "          |+4",
    "              CREATE DATABASE docs;",
    "                -- {{RELEASE}}",
    '              CREATE USER api IDENTIFIED BY "$$SCONE::MYSQL_ROOT_PASSWORD|escape(json)$$";',
    ...more.map((line) => `      - ${line}`),
  ].join("\n");
const SERVICES = `services:
  - {name: api, image: reg.example.org/docs/api}
${["memcached", "nginx", "mariadb"].map((name) => `  - {image: reg.example.org/vouchsafe/${name}}`).join("\n")}
helm_extra_values:
  memcached-scone: {podAnnotations: {a: memcached}}
  nginx-scone: {service: {type: NodePort}}
  mariadb-scone: {extraVolumes: [{name: external, emptyDir: {medium: Memory}}], extraVolumeMounts: [{name: external, mountPath: /external}]}`;
const IMAGES = {
  api: imageOf(API, { encrypted: true }),
  memcached: curatedImage("memcached"),
  nginx: curatedImage("nginx"),
  mariadb: curatedImage("mariadb"),
};

const planned = (...more: string[]) => planOf(meshText({ env: env(...more), services: SERVICES }), IMAGES, { release: "docs" });
const valid = (...more: string[]): MeshPlan => {
  const { plan, diagnostics } = planned(...more);
  assert.deepEqual(
    diagnostics.map(({ rule, message }) => `${rule} ${message}`).filter((line) => !/W-CA-MIGRATE/.test(line)),
    [],
  );
  return plan ?? assert.fail("no plan");
};
const bodyOf = (plan: MeshPlan, name: string): PlainMapping =>
  plan.policies.find((policy) => policy.name === `team-1/${name}`)?.body ?? assert.fail(name);
const itemsOf = (value: PlainValue | undefined): readonly PlainMapping[] =>
  Array.isArray(value) ? (value as PlainMapping[]) : assert.fail("no list"); // lists of mappings in every policy
const valuesOf = (plan: MeshPlan, name: string): PlainMapping =>
  plan.services.find(({ prepared }) => prepared.name === name)?.chart.effective ?? assert.fail(name);

test("AC-4, MF-110: a mesh with memcached, nginx and mariadb gives policies that the language accepts", () => {
  const plan = valid();
  assert.deepEqual(
    plan.services.map(({ prepared }) => prepared.serviceId),
    ["team-1/api/python3", "team-1/memcached/memcached", "team-1/nginx/nginx", "team-1/mariadb/mariadbd"],
  );
  for (const { name, body } of plan.policies) {
    const { session, diagnostics } = parseSession(policyText(body, null), { file: name });
    assert.deepEqual(
      diagnostics.filter(({ rule }) => rule !== "SL-116"), // the historical formats .crt and .key
      [],
    );
    assert.equal(session?.name, name);
  }
});

test("MF-110: each client gets the certificates that it imports, and nobody a CA's key", () => {
  const plan = valid();
  const shared = plan.imports.map(({ from, secret, to }) => `${from}.${secret} → ${to}`).sort();
  assert.deepEqual(shared, [
    "api.API_CA_CERT → nginx",
    "api.API_CLIENT_CERT → nginx",
    "mariadb.MARIADB_CA_CERT → api",
    "mariadb.MARIADB_CLIENT_CERT → api",
    "mariadb.MYSQL_ROOT_PASSWORD → api",
    "memcached.MEMCACHED_CA_CERT → api",
    "memcached.MEMCACHED_CLIENT_CERT → api",
  ]);
  for (const name of ["memcached", "nginx", "mariadb"])
    for (const secret of itemsOf(bodyOf(plan, name)["secrets"]))
      if (/_CA_KEY$/.test(String(secret["name"]))) assert.equal(secret["export"], undefined, String(secret["name"]));
  assert.deepEqual(plan.services.find(({ prepared }) => prepared.name === "nginx")?.publicSecrets, ["NGINX_SERVER_CA_CERT"]);
});

test("MF-22, MF-29: the script of the mesh reaches MariaDB as it was meant, with its secrets", () => {
  const files = itemsOf(itemsOf(bodyOf(valid(), "mariadb")["images"])[0]?.["injection_files"]);
  assert.equal(
    files.find(({ path }) => path === "/mariadb/init.sql")?.["content"],
    'CREATE DATABASE docs;\n  -- docs\nCREATE USER api IDENTIFIED BY "$$SCONE::MYSQL_ROOT_PASSWORD|escape(json)$$";\n',
  );
});

test("MF-109, MF-110: with a Kubernetes namespace the certificates have the full names of their Services too", () => {
  const namesOf = (name: string, certificate: string, ...more: string[]) =>
    itemsOf(bodyOf(valid(...more), name)["secrets"]).find((secret) => secret["name"] === certificate)?.["san"];
  for (const [name, certificate] of [
    ["memcached", "MEMCACHED_SERVER_CERT"],
    ["nginx", "NGINX_SERVER_CERT"],
    ["mariadb", "MARIADB_SERVER_CERT"],
  ] as const) {
    const short = [`dns:docs-${name}`, `dns:${name}`];
    assert.deepEqual(namesOf(name, certificate), short);
    const full = [`dns:docs-${name}.test.svc`, `dns:docs-${name}.test.svc.cluster.local`];
    assert.deepEqual(namesOf(name, certificate, "{name: K8sNAMESPACE, value: test}"), [...short, ...full]);
  }
});

test("MF-108, MF-110: ports, readiness, kind, waits and values under the aliases", () => {
  const plan = valid();
  const shown = ["memcached", "nginx", "mariadb"].map((name) => {
    const { workloadKind, service, readiness, terminationGracePeriodSeconds } = valuesOf(plan, name) as {
      readonly [key: string]: PlainMapping | undefined;
    };
    return [name, workloadKind, service?.["type"], service?.["port"], readiness?.["mode"], terminationGracePeriodSeconds];
  });
  assert.deepEqual(shown, [
    ["memcached", "deployment", "ClusterIP", 11211, "tcp", 5],
    ["nginx", "deployment", "NodePort", 8443, "tcp", 5],
    ["mariadb", "statefulset", "ClusterIP", 3306, "launcher", 5],
  ]);
  assert.deepEqual(valuesOf(plan, "memcached")["podAnnotations"], { a: "memcached" });
  assert.deepEqual(valuesOf(plan, "mariadb")["extraVolumeMounts"], [{ name: "external", mountPath: "/external" }]);
  const waits = (values: PlainMapping) => values["initContainers"] as PlainMapping | undefined;
  assert.deepEqual(waits(valuesOf(plan, "nginx"))?.["container1"], { enabled: true, host: "docs-api", port: 8000 });
  assert.deepEqual(waits(valuesOf(plan, "api"))?.["waitFor"], [
    { host: "docs-memcached", port: 11211 },
    { host: "docs-mariadb", port: 3306 },
  ]);
  const eager = waits(valuesOf(valid("{name: nginx_initContainers_enabled, value: false}"), "nginx"));
  assert.deepEqual([(eager?.["container1"] as PlainMapping | undefined)?.["enabled"], eager?.["waitFor"]], [false, []]);
});

test("MF-111: what an image needs can be shown: variables without and with a default, and what it imports", () => {
  assert.deepEqual(imageDefaults(curatedImage("nginx")), {
    required: [
      "nginx_server_name",
      "nginx_backend_server_name",
      "nginx_backend_server_port",
      "NGINX_BACKEND_CLIENT_CERT",
      "NGINX_BACKEND_CA_CERT",
    ],
    defaults: {
      APP_SERVICE_PORT: "8443",
      nginx_initContainers_enabled: "true",
      INIT_CONTAINER1_ENABLE: "{{nginx_initContainers_enabled}}",
      K8sNAMESPACE: "",
    },
    imports: ["{{NGINX_BACKEND_CLIENT_CERT}}", "{{NGINX_BACKEND_CA_CERT}}"],
  });
});

test("MF-19, MF-110: what a curated image needs and the mesh does not say is named", () => {
  const { diagnostics } = planOf(meshText({ services: SERVICES }), IMAGES, { release: "docs" });
  const missing = diagnostics.filter(({ rule }) => rule === "E-VAR-UNDEFINED").map(({ message }) => message);
  for (const name of ["memcached_host", "nginx_server_name", "nginx_backend_server_name", "NGINX_BACKEND_CLIENT_CERT", "database_host"])
    assert(
      missing.some((message) => message.includes(name)),
      name,
    );
});

test("MF-109, MF-110: persistence is refused by name, because nothing could keep it encrypted", () => {
  const persistent = meshText({
    env: env(),
    services: `${SERVICES.replace("mariadb-scone: {", "mariadb-scone: {persistence: {enabled: true}, ")}`,
  });
  const refused = planOf(persistent, IMAGES, { release: "docs" }).diagnostics.filter(({ severity }) => severity === "error");
  assert.deepEqual(
    refused.map(({ rule, line }) => [rule, line]),
    [["E-CHART-VALUE", persistent.split("\n").findIndex((line) => line.includes("mariadb-scone")) + 1]],
  );
  assert.match(refused[0]?.message ?? "", /persistence\.enabled of mariadb is true/);
  assert.match(refused[0]?.hint ?? "", /in memory/);
  const redis = (value: string) =>
    planOf(
      meshText({
        env: `env:\n  - service: global\n    env: [{name: redis_server_name, value: docs-redis}, {name: redis_persistence, value: ${value}}]`,
        services: "services:\n  - {image: reg.example.org/vouchsafe/redis}",
      }),
      { redis: curatedImage("redis") },
      { release: "docs" },
    ).diagnostics.map(({ rule, message }) => `${rule} ${message}`);
  assert.deepEqual(redis("no"), []);
  assert.match(redis('"yes"').join("\n"), /^E-CHART-VALUE redis_persistence of redis is "yes"/);
});
