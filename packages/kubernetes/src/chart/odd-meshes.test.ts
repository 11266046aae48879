import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { type MeshPlan, toYaml } from "@vouchsafe/mesh";
import { parseAllDocuments } from "yaml";
import { imageOf, meshText, planOf, serviceText } from "../../../mesh/src/testing/mesh-fixture.ts";
import { Cluster } from "../cluster/cluster.ts";
import { defineResources, missingForApiServer, startApiServer } from "../testing/api-server.ts";
import { helm, writeChart } from "../testing/helm.ts";
import { type PolicyResource, planApplicationChart } from "./application-chart.ts";

interface OddMesh {
  readonly what: string;
  readonly release?: string;
  readonly services: readonly string[];
  readonly variables?: Readonly<Record<string, string>>;
  readonly extra?: string;
  readonly service?: Readonly<Record<string, string | null>>;
  /** Text of every policy resource. */
  readonly policy?: string;
}

const quoted = (text: string) => JSON.stringify(text);
const VOLUMES =
  "build:\n  name: app\n  kind: python\n  to: reg.example.org/x/app:1\n  command: python3 app.py\n  volumes: [{name: Data_1.x, path: /data}, {name: no, path: /no}]\n";

const MESHES: readonly OddMesh[] = [
  {
    what: "names at their limit: 53 characters of release, 63 of an object",
    release: `r${"e".repeat(51)}x`,
    services: ["s".repeat(9)],
    variables: { APP_SERVICE_PORT: "8080" },
  },
  { what: "services named like other YAML types", services: ["null", "true", "No", "0x1f", "1e3", "007", "1-10"] },
  {
    what: "services with capitals, underscores and one letter",
    services: ["Api_Server_v2", "A", "z-9"],
    variables: { APP_SERVICE_PORT: "1" },
  },
  { what: "forty services", services: Array.from({ length: 40 }, (_, index) => `part-${index}`), variables: { APP_SERVICE_PORT: "65535" } },
  {
    what: "a release with dots",
    release: "shop.eu-1.prod",
    services: ["web"],
    variables: { APP_SERVICE_PORT: "443", serviceType: "LoadBalancer" },
  },
  {
    what: "a stateful set with claims of two kinds",
    services: ["store"],
    service: { build: VOLUMES },
    variables: { workloadKind: "statefulset", replicaCount: "3" },
    extra: '{store: {volumes: {Data_1.x: {size: 1Gi, storageClass: "-"}, no: {existingClaim: theirs}}}}',
  },
  {
    what: "a job that never restarts, and no replica of the rest",
    services: ["once"],
    variables: { workloadKind: "job", restartPolicy: "Never", replicaCount: "0" },
  },
  {
    what: "an ingress, a node port, and annotations that look like numbers",
    services: ["web"],
    variables: { APP_SERVICE_PORT: "8443", serviceType: "NodePort" },
    extra:
      '{web: {service: {nodePort: 30443, annotations: {a: "1", b: "true"}}, ingress: {enabled: true, hosts: [a.example.org, b.example.org], tls: [{hosts: [a.example.org], secretName: a-tls}], annotations: {ssl: "on"}}}}',
  },
  {
    what: "texts that Helm, YAML and the shell read as something else",
    services: ["odd"],
    variables: { SCONE_LOG: "\\{{ .Values }} # \"quoted\" 'single' ---", imagePullSecrets: "one, two ,three" },
    extra:
      '{odd: {podAnnotations: {"a.b/c": "{{ fail }}", d: "line\\nbreak", e: "ünï✓", f: "---"}, extraEnv: [{name: A, value: "$(B) {{x}} \\"q\\""}]}}',
    policy: "{{ .Release.Name }}\n---\n\t\u0001 }}",
  },
  {
    what: "everything that a pod can be given",
    services: ["full"],
    variables: { useSGXDevPlugin: "azure", sgxEpcMem: "64" },
    extra:
      "{full: {nodeSelector: {disk: ssd}, tolerations: [{key: tee, operator: Exists, effect: NoSchedule}], affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: In, values: [b]}]}]}}}, extraVolumes: [{name: scratch, emptyDir: {}}], extraVolumeMounts: [{name: scratch, mountPath: /scratch}], initContainers: {container1: {enabled: true, host: db, port: 5432}}, terminationGracePeriodSeconds: 0, networkPolicy: {restrictEgress: true, to: [{ipBlock: {cidr: 203.0.113.0/24}}]}, serviceAccount: {name: theirs}}}",
  },
];

function planMeshOf({ release, services, variables = {}, extra, service }: OddMesh): MeshPlan {
  const image = imageOf(serviceText(service));
  const { plan, diagnostics } = planOf(
    meshText({
      services: `services:\n${services.map((name) => `  - {name: ${quoted(name)}, image: 'reg.example.org/x/app:1'}`).join("\n")}`,
      env: `env:\n  - service: global\n    env: [${Object.entries(variables)
        .map(([name, value]) => `{name: ${name}, value: ${quoted(value)}}`)
        .join(", ")}]`,
      ...(extra === undefined ? {} : { extra: `helm_extra_values: ${extra}` }),
    }),
    Object.fromEntries(services.map((name) => [name, image])),
    { release, evidence: { kinds: ["node"], simulates: undefined } },
  );
  assert(plan !== undefined, JSON.stringify(diagnostics));
  return plan;
}

const policiesOf = (plan: MeshPlan, text: string): PolicyResource[] =>
  plan.policies.map(({ name, resource }) => ({
    kind: "EncryptedPolicy",
    name: resource,
    policy: name,
    spec: { casAddress: "https://cas:8081", policy: text, encryptionKey: "00" },
  }));

test("hazard H4: the charts of ten odd meshes are linted strictly, and the API server accepts them under Pod Security restricted", async (t) => {
  const missing = missingForApiServer();
  if (missing !== undefined) return t.diagnostic(`not run: ${missing}`);
  const server = await startApiServer();
  t.after(() => server.stop());
  const cluster = new Cluster(server.config);
  await defineResources(cluster);
  const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
  await cluster.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "odd", labels } });
  const directory = await mkdtemp(join(tmpdir(), "odd-meshes-"));
  t.after(() => rm(directory, { recursive: true }));
  const kubeconfig = join(directory, "kubeconfig");
  await writeFile(kubeconfig, server.kubeconfig, { mode: 0o600 });
  /** Server-side dry run; throws with the server's answer. */
  const offer = async (name: string, text: string) => {
    const file = join(directory, name);
    await writeFile(file, text);
    await promisify(execFile)("kubectl", ["--kubeconfig", kubeconfig, "-n", "odd", "create", "--dry-run=server", "-f", file], {
      maxBuffer: 16 * 1024 * 1024,
    });
  };
  for (const mesh of MESHES) {
    await t.test(mesh.what, async (context) => {
      const plan = planMeshOf(mesh);
      const chart = await writeChart(context, planApplicationChart(plan, policiesOf(plan, mesh.policy ?? "text")));
      assert.match(await helm("lint", "--strict", chart), /0 chart\(s\) failed/);
      const text = await helm("template", mesh.release ?? "fair", chart, "-n", "odd");
      const documents = parseAllDocuments(text);
      assert(Array.isArray(documents));
      const objects = documents.map((document) => document.toJS() as Parameters<typeof toYaml>[0]).filter((object) => object !== null);
      assert.ok(objects.length >= mesh.services.length * 3);
      // Pod Security refuses pods; of a workload it only warns. So each template is offered as a pod as well.
      const pods = objects.flatMap((object) => {
        const { kind, metadata, spec } = object as {
          kind: string;
          metadata: { name: string };
          spec?: { template?: { metadata: object; spec: object } };
        };
        return spec?.template === undefined
          ? []
          : [
              {
                apiVersion: "v1",
                kind: "Pod",
                metadata: { ...spec.template.metadata, name: `${kind.toLowerCase()}-${metadata.name}`.slice(0, 63).replace(/-+$/, "") },
                spec: { ...spec.template.spec, serviceAccountName: "default" },
              },
            ];
      });
      await offer("objects.yaml", text);
      await offer("pods.yaml", pods.map((pod) => toYaml(pod as Parameters<typeof toYaml>[0])).join("---\n"));
      if (mesh.policy !== undefined) {
        const policies = objects.filter((object) => (object as { kind: string }).kind === "EncryptedPolicy");
        for (const policy of policies) assert.equal((policy as { spec: { policy: string } }).spec.policy, mesh.policy);
      }
    });
  }
  await t.test("the dry run does refuse what is wrong", async () => {
    await assert.rejects(
      offer("bad.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: Upper}\nspec: {ports: [{port: 1}]}\n"),
      /RFC 1035|Invalid value/,
    );
    const privileged =
      "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: b, securityContext: {privileged: true}}]}\n";
    await assert.rejects(offer("bad.yaml", privileged), /PodSecurity/);
  });
  return undefined;
});
