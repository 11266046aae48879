import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { parseAllDocuments } from "yaml";
import { curatedImage, imageOf, meshText, planOf, serviceText } from "../../../mesh/src/testing/mesh-fixture.ts";
import { helm, writeChart } from "../testing/helm.ts";
import { type PolicyResource, planApplicationChart } from "./application-chart.ts";

interface KubernetesObject {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Record<string, string>; readonly annotations?: Record<string, string> };
  readonly spec: Record<string, unknown>;
}

const STORE = serviceText({
  secrets: "secrets:\n  global: [{name: token, kind: binary}]",
  build:
    "build:\n  name: store\n  kind: python\n  to: reg.example.org/x/store:1\n  command: python3 store.py\n  volumes: [{name: data_1, path: /data}]\n",
});
const SHOP = serviceText({
  environment: 'environment:\n  local: [{name: T, value: "$$SCONE::token:hex$$"}, {name: SCONE_HEAP, value: 64M}]',
  secrets: "secrets:\n  import: [token]",
});
const SERVICES = "services:\n  - {name: shop, image: 'reg.example.org/x/app:1'}\n  - {name: store, image: 'reg.example.org/x/store:1'}";
const env = (...variables: string[]) => `env:\n  - service: global\n    env:\n${variables.map((text) => `      - ${text}`).join("\n")}`;
const PORTS = env("{name: APP_SERVICE_PORT, value: 8080}");

function chartOf(
  parts: Record<string, string> = {},
  options: { release?: string; policies?: PolicyResource[]; custom?: ReadonlyMap<string, string> } = {},
): ReadonlyMap<string, string> {
  const shop = imageOf(SHOP, { encrypted: true, ...(options.custom === undefined ? {} : { overrides: { chart: options.custom } }) });
  const { plan, diagnostics } = planOf(
    meshText({ services: SERVICES, env: PORTS, ...parts }),
    { shop, store: imageOf(STORE) },
    { release: options.release, evidence: { kinds: ["node"], simulates: undefined }, releaseVersion: 3 },
  );
  assert(plan !== undefined, JSON.stringify(diagnostics));
  return planApplicationChart(plan, options.policies ?? []);
}

async function render(
  context: TestContext,
  files: ReadonlyMap<string, string>,
  release = "fair",
  ...more: string[]
): Promise<KubernetesObject[]> {
  const directory = await writeChart(context, files);
  const text = await helm("template", release, directory, ...more);
  const documents = parseAllDocuments(text);
  assert(Array.isArray(documents));
  return documents.map((document) => document.toJS() as KubernetesObject | null).filter((object) => object !== null); // what a cluster would get
}
const named = (objects: readonly KubernetesObject[], kind: string, name: string): KubernetesObject => {
  const found = objects.find((object) => object.kind === kind && object.metadata.name === name);
  assert(found !== undefined, `no ${kind} ${name} in ${objects.map((object) => `${object.kind} ${object.metadata.name}`).join(", ")}`);
  return found;
};

test("MF-114, AC-8, hazard H4: the chart passes helm lint --strict, in every shape", async (context) => {
  const shapes: Record<string, string>[] = [
    {},
    { env: env("{name: workloadKind, value: job}", "{name: restartPolicy, value: Never}") },
    { env: env("{name: workloadKind, value: statefulset}", "{name: useSGXDevPlugin, value: none}") },
  ];
  for (const parts of shapes) {
    const directory = await writeChart(context, chartOf(parts, { release: "fair" }));
    assert.match(await helm("lint", "--strict", directory), /0 chart\(s\) failed/);
  }
});

test("MF-113, 12.1: one chart for each service under its mesh name, listed without repository", () => {
  const files = chartOf();
  assert.match(files.get("Chart.yaml") ?? "", /name: confidential-mesh[\s\S]*version: "0\.3\.0"[\s\S]*condition: shop\.enabled/);
  assert.match(files.get("charts/store/Chart.yaml") ?? "", /^name: store$/m);
  assert.doesNotMatch(files.get("Chart.yaml") ?? "", /repository/);
});

test("MF-115, MF-116, MF-120: labels, names, ports; the init container waits for the owner of an import", async (context) => {
  const objects = await render(context, chartOf());
  const shop = named(objects, "Deployment", "fair-shop");
  const labels = { "app.kubernetes.io/name": "shop", "app.kubernetes.io/instance": "fair" };
  const template = shop.spec["template"] as { metadata: { labels: Record<string, string> }; spec: Record<string, unknown> };
  assert.deepEqual((shop.spec["selector"] as { matchLabels: object }).matchLabels, labels);
  for (const [label, value] of Object.entries(labels)) assert.equal(template.metadata.labels[label], value);
  for (const label of ["app.kubernetes.io/managed-by", "app.kubernetes.io/version", "helm.sh/chart"])
    assert.ok(template.metadata.labels[label], label);
  const service = named(objects, "Service", "fair-shop");
  assert.equal((service.spec["ports"] as { port: number }[])[0]?.port, 8080);
  const waits = template.spec["initContainers"] as { args: string[] }[];
  assert.deepEqual(
    waits.map(({ args }) => args),
    [["fair-store", "8080"]],
  );
});

test("a release that is given other policies keeps their pods apart: self-signed certificate in certificate chain", async (context) => {
  const selectorOf = async (parts: Record<string, string>, ...more: string[]) => {
    const objects = await render(context, chartOf(parts), "fair", ...more);
    const selector = named(objects, "Service", "fair-store").spec["selector"] as Record<string, string>;
    const workload = named(objects, "Deployment", "fair-store").spec as {
      selector: { matchLabels: Record<string, string> };
      template: { metadata: { labels: Record<string, string> } };
    };
    for (const [label, value] of Object.entries(selector)) assert.equal(workload.template.metadata.labels[label], value, label);
    assert.equal(workload.selector.matchLabels["vouchsafe.dev/policy-id"], undefined, "a Deployment's selector can never change");
    assert.match(selector["vouchsafe.dev/policy-id"] ?? "", /^[0-9a-f]{32}$/);
    return selector;
  };
  const first = await selectorOf({});
  const update = env("{name: APP_SERVICE_PORT, value: 8080}", "{name: replicaCount, value: 3}");
  assert.deepEqual(await selectorOf({ env: update }), first, "an update of the same policies moves nobody");
  assert.deepEqual(await selectorOf({}, "--set", "store.scone.api_session=team-1-app/store/store@123456"), {
    ...(await selectorOf({}, "--set", "store.scone.api_session=team-1-app/store/store")),
  });
  for (const other of ["store.scone.api_session=other/store/store", "store.scone.cas_key=another"])
    assert.notDeepEqual(await selectorOf({}, "--set", other), first, other);
});

test("MF-116: a release name that contains the service's name is not shortened", async (context) => {
  const objects = await render(context, chartOf(), "my-shop");
  named(objects, "Service", "my-shop-shop");
});

test("MF-117, 12.2: the container has the pinned image, the first word of the command, and an environment without secrets", async (context) => {
  const [container] = (
    named(await render(context, chartOf()), "Deployment", "fair-shop").spec["template"] as {
      spec: { containers: Record<string, unknown>[] };
    }
  ).spec.containers;
  assert(container !== undefined);
  assert.equal(container["name"], "api");
  assert.match(String(container["image"]), /^reg\.example\.org\/x\/app:1@sha256:[0-9a-f]{64}$/);
  assert.deepEqual(container["command"], ["python3"]);
  const names = (container["env"] as { name: string }[]).map(({ name }) => name);
  for (const name of ["SCONE_CONFIG_ID", "SCONE_CAS_ADDR", "SCONE_LAS_ADDR", "SCONE_LOG", "SCONE_VERSION", "SCONE_EDMM_MODE"])
    assert.ok(names.includes(name), name);
  assert.ok(!names.includes("T"));
});

test("MF-120, MF-123: who has a port is ready when it listens there, and serves on while its pod ends; an upgrade takes no pod away first", async (context) => {
  const deploymentOf = async (...more: string[]) => {
    const { spec } = named(await render(context, chartOf(), "fair", ...more), "Deployment", "fair-shop");
    const { template, strategy } = spec as {
      template: { spec: { containers: { env: { name: string; value?: string }[] }[] } };
      strategy: object;
    };
    const variables = new Map(template.spec.containers[0]?.env.map(({ name, value }) => [name, value]));
    return { strategy, port: variables.get("VOUCHSAFE_SERVICE_PORT"), drain: variables.get("VOUCHSAFE_DRAIN_SECONDS") };
  };
  const strategy = { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } };
  assert.deepEqual(await deploymentOf(), { strategy, port: "8080", drain: "3" });
  // A second of the grace period is the program's own.
  for (const [grace, drain] of [
    ["2", "1"],
    ["0", "0"],
    ["60", "3"],
  ] as const)
    assert.equal((await deploymentOf("--set", `shop.terminationGracePeriodSeconds=${grace}`)).drain, drain);
  const job = await render(context, chartOf({ env: env("{name: workloadKind, value: job}", "{name: restartPolicy, value: Never}") }));
  assert.doesNotMatch(JSON.stringify(job), /VOUCHSAFE_DRAIN_SECONDS|strategy/);
});

test("only those who import a service's secrets may connect to it, and what has no port accepts nothing", async (context) => {
  const policyOf = async (service: string, parts: Record<string, string> = {}) =>
    named(await render(context, chartOf(parts)), "NetworkPolicy", `fair-${service}`).spec as {
      policyTypes: string[];
      ingress: { from?: { podSelector: { matchExpressions?: { values: string[] }[] } }[]; ports: { port: string }[] }[];
      egress?: { ports?: { port: number }[]; to?: object[] }[];
    };
  const store = await policyOf("store");
  assert.deepEqual(store.policyTypes, ["Ingress"]);
  assert.deepEqual(store.ingress[0]?.from?.[0]?.podSelector.matchExpressions?.[0]?.values, ["shop"]);
  assert.deepEqual(store.ingress[0]?.ports, [{ port: "api", protocol: "TCP" }]);
  assert.equal((await policyOf("shop")).ingress[0]?.from, undefined);
  assert.deepEqual((await policyOf("store", { env: "env: []" })).ingress, []);
  const published = await policyOf("store", { extra: "helm_extra_values:\n  store: {service: {type: NodePort}}" });
  assert.equal(published.ingress[0]?.from, undefined);
  const shut = await policyOf("shop", { extra: "helm_extra_values:\n  shop: {networkPolicy: {restrictEgress: true}}" });
  assert.deepEqual(shut.policyTypes, ["Ingress", "Egress"]);
  assert.deepEqual(
    shut.egress?.[0]?.ports?.map(({ port }) => port),
    [53, 53, 8081, 18765, 18766],
  );
});

test("each service runs under an account without rights, unless one is named", async (context) => {
  const account = named(await render(context, chartOf()), "ServiceAccount", "fair-shop") as unknown as {
    automountServiceAccountToken: boolean;
  };
  assert.equal(account.automountServiceAccountToken, false);
  const objects = await render(context, chartOf({ extra: "helm_extra_values:\n  shop: {serviceAccount: {name: theirs}}" }));
  assert.ok(!objects.some(({ kind, metadata }) => kind === "ServiceAccount" && metadata.name === "fair-shop"));
  const { spec } = named(objects, "Deployment", "fair-shop").spec["template"] as { spec: Record<string, unknown> };
  assert.equal(spec["serviceAccountName"], "theirs");
  assert.equal(spec["automountServiceAccountToken"], false);
});

test("values.schema.json refuses values of a wrong type by name, and lets unknown ones pass", async (context) => {
  const directory = await writeChart(context, chartOf());
  const refused = [
    { set: "shop.workloadKind=daemon", says: /workloadKind/ },
    { set: "shop.replicaCount=-1", says: /replicaCount/ },
    { set: "shop.service.port=70000", says: /port/ },
    { set: "store.enabled=maybe", says: /enabled/ },
    { set: "shop.networkPolicy.enabled=perhaps", says: /networkPolicy/ },
  ];
  for (const { set, says } of refused) await assert.rejects(helm("template", "fair", directory, "--set", set), says, set);
  await helm("template", "fair", directory, "--set", "shop.somethingElse=1");
  const objects = await render(context, chartOf(), "fair", "--set", "store.enabled=false");
  assert.ok(!objects.some(({ metadata }) => metadata.name === "fair-store"));
});

test("MF-108, MF-110: Helm is refused persistence, and values under an alias, by name", async (context) => {
  const { plan } = planOf(
    meshText({
      env: env("{name: database_host, value: fair-db}"),
      services: "services:\n  - {name: db, image: reg.example.org/vouchsafe/mariadb}",
    }),
    { db: curatedImage("mariadb") },
    { release: "fair" },
  );
  assert(plan !== undefined);
  const directory = await writeChart(context, planApplicationChart(plan, []));
  const objects = await render(context, planApplicationChart(plan, []), "fair", "--set", "db.persistence.enabled=false");
  assert.equal(named(objects, "StatefulSet", "fair-db").spec["serviceName"], "fair-db");
  const set = (value: string) => helm("template", "fair", directory, "--set", value);
  await assert.rejects(set("db.persistence.enabled=true"), /cannot keep a program's files encrypted on a volume/);
  await assert.rejects(set("mariadb-scone.persistence.enabled=true"), /values under mariadb-scone have no effect here: put them under db/);
});

test("helm test has a pod for each Service, which no script takes for one of the service's", async (context) => {
  const pod = named(await render(context, chartOf()), "Pod", "fair-shop-test") as KubernetesObject & {
    spec: { containers: { args: string[] }[]; securityContext: { runAsNonRoot: boolean } };
  };
  assert.deepEqual(pod.spec.containers[0]?.args, ["fair-shop", "8080"]);
  assert.equal(pod.spec.securityContext.runAsNonRoot, true);
  assert.equal(pod.metadata.labels?.["app.kubernetes.io/name"], "shop-test");
  assert.equal(pod.metadata.annotations?.["helm.sh/hook"], "test");
});

test("values.yaml says what each value is for", () => {
  const values = chartOf().get("charts/shop/values.yaml") ?? "";
  for (const key of ["networkPolicy", "podSecurityContext", "resources", "volumes"])
    assert.match(values, new RegExp(`^# .+\n${key}:`, "m"), key);
});

test("MF-118: installed as another release, names keep the release of the apply", async (context) => {
  named(await render(context, chartOf({}, { release: "fair" }), "other"), "Deployment", "fair-shop");
});

test("MF-104: policy resources are hooks in upload order that stay after an uninstall, and braces in them survive", async (context) => {
  const resource = (name: string, policy: string): PolicyResource => ({
    kind: "EncryptedPolicy",
    name,
    policy: name,
    spec: { casAddress: "https://cas:8081", policy, encryptionKey: "00" },
  });
  const objects = await render(context, chartOf({}, { policies: [resource("team-1", "{{ .Values }} }}"), resource("team-1-shop", "x")] }));
  const annotations = ["team-1", "team-1-shop"].map((name) => named(objects, "EncryptedPolicy", name).metadata.annotations);
  assert.deepEqual(
    annotations.map((each) => [each?.["helm.sh/hook"], each?.["helm.sh/hook-weight"], each?.["helm.sh/hook-delete-policy"]]),
    [
      ["pre-install,pre-upgrade", "1", "before-hook-creation"],
      ["pre-install,pre-upgrade", "2", "before-hook-creation"],
    ],
  );
  assert.equal(named(objects, "EncryptedPolicy", "team-1").spec["policy"], "{{ .Values }} }}");
});

test("5.7: extra values reach the chart, also texts that YAML 1.1 reads as something else", async (context) => {
  const extra =
    'helm_extra_values:\n  shop:\n    podAnnotations: {a: "yes", b: "0644", c: "1:30", d: "{{x}}"}\n    volumes: {}\n  store:\n    volumes: {data_1: {size: 2Gi, storageClass: "-"}}';
  const objects = await render(context, chartOf({ extra }));
  const shop = named(objects, "Deployment", "fair-shop").spec["template"] as { metadata: { annotations: object } };
  assert.deepEqual(shop.metadata.annotations, { a: "yes", b: "0644", c: "1:30", d: "{{x}}" });
  const claim = named(objects, "PersistentVolumeClaim", "fair-store-data-1");
  assert.equal(claim.spec["storageClassName"], "");
});

test("MF-119: the device plugin decides the resources", async (context) => {
  const limits = async (...variables: string[]) => {
    const objects = await render(context, chartOf({ env: env(...variables) }));
    const [container] = (
      named(objects, "Deployment", "fair-store").spec["template"] as { spec: { containers: { resources?: { limits?: object } }[] } }
    ).spec.containers;
    return container?.resources?.limits;
  };
  assert.deepEqual(await limits("{name: useSGXDevPlugin, value: scone}"), { "sgx.intel.com/enclave": 1 });
  assert.deepEqual(await limits("{name: useSGXDevPlugin, value: azure}", "{name: sgxEpcMem, value: 128}"), {
    "sgx.intel.com/epc": "128Mi",
  });
  assert.equal(await limits("{name: useSGXDevPlugin, value: none}"), undefined);
});

test("MF-126: a chart of the user is used as it is, with name and values set; of a key that occurs twice the last counts", async (context) => {
  const custom = new Map([
    ["Chart.yaml", "apiVersion: v2\nname: theirs\nversion: 9.9.9\ndescription: first\ntype: application\ndescription: second\n"],
    ["values.yaml.template", 'image: {{image_name}}\nfullname: "{{service_name}}"\ncas: {{cas.cas.cas_url}}\nport: {{APP_SERVICE_PORT}}\n'],
    [
      "templates/map.yaml",
      "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Values.fullname }}\ndata:\n  cas: {{ .Values.cas | quote }}\n  port: {{ .Values.port | quote }}\n",
    ],
  ]);
  const files = chartOf({}, { release: "fair", custom });
  assert.equal(files.get("charts/shop/Chart.yaml"), "name: shop\nversion: 0.3.0\napiVersion: v2\ntype: application\ndescription: second\n");
  const map = named(await render(context, files), "ConfigMap", "fair-shop") as unknown as { data: object };
  assert.deepEqual(map.data, { cas: "cas.scone-system", port: "8080" });
});
