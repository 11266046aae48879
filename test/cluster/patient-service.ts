import assert from "node:assert/strict";
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { eventually, ROOT, type TestCluster } from "./cluster.ts";
import { makeDatabaseVolume } from "./database-volume.ts";

const EXAMPLE = join(ROOT, "examples", "patient-records");

/** What must never be seen outside the program: a secret of the policy, and a line of the program's code. */
export interface Canaries {
  readonly secret: string;
  readonly code: string;
}

/** The patient records application in a namespace of its own, with a CAS that keeps its database on a volume. */
export interface PatientService {
  /** `https://address:port` of the service, reachable from the node. */
  readonly url: string;
  readonly variables: Readonly<Record<string, string>>;
  /** Builds and pushes the service's image, with a change of its program if one is given. Returns nothing: the mesh names what was built. */
  readonly build: (change?: (code: string) => string) => Promise<void>;
  /** Makes and uploads the policies, and installs or upgrades the release. */
  readonly installMesh: () => Promise<void>;
  readonly untilReady: (service: string) => Promise<void>;
  /** Name of the running pod of a service. */
  readonly pod: (service: string) => Promise<string>;
  /** Creates a deployment like that of a service, changed by a JSON patch; the caller deletes it. Network policies make a stranger of it: it waits for nobody. */
  readonly clone: (service: string, name: string, patch: readonly object[]) => Promise<void>;
  readonly removeClone: (name: string) => Promise<void>;
  /** Everything that a pod of a clone wrote, and all events about it. */
  readonly said: (clone: string) => Promise<{ readonly log: string; readonly events: string }>;
}

/** Prepares CAS and application on a cluster that has the platform. */
export async function installPatientService(cluster: TestCluster, canaries: Canaries): Promise<PatientService> {
  const { namespace, directory, repository, run, shell } = cluster;
  await cp(EXAMPLE, directory, { recursive: true });
  const variables = {
    APP_IMAGE_REPO: `${repository}/app`,
    APP_NAMESPACE: `${namespace}-policies`,
    RELEASE: "clinic",
    CAS_URL: `cas.${namespace}`,
    NAMESPACE: namespace,
  };
  const code = await readFile(join(EXAMPLE, "api.py"), "utf8");
  const build = async (change: (code: string) => string = (same) => same) => {
    await writeFile(join(directory, "api.py"), change(`${code}\n# ${canaries.code}\n`));
    await shell(`SCONE='$SCONE' envsubst < service.yaml.template > service.yaml; sconectl apply -f service.yaml`, variables);
  };
  const installMesh = async () => {
    await shell(
      `source <(kubectl provision cas cas -n ${namespace} --print-public-keys); SCONE='$SCONE' envsubst < mesh.yaml.template | sed '/name: imagePullSecrets/{n;s/""/sconeapps/}' > mesh.yaml; sconectl apply -f mesh.yaml --release clinic`,
      variables,
    );
    await run("helm", "upgrade", "--install", "--namespace", namespace, "clinic", "target/helm");
  };
  const untilReady = async (service: string) => {
    await run("kubectl", "-n", namespace, "rollout", "status", `deployment/clinic-${service}`, "--timeout=180s");
  };
  const pod = async (service: string) => {
    // Not one that is on its way out: it lingers for the requests that still reach it.
    const newest =
      '[.items[] | select(.metadata.deletionTimestamp == null and .status.phase == "Running")] | sort_by(.metadata.creationTimestamp) | last';
    return (
      await shell(
        `kubectl -n ${namespace} get pods -l app.kubernetes.io/name=${service} -o json | jq -r '${newest} | .metadata.name // ""'`,
      )
    ).trim();
  };
  const clone = async (service: string, name: string, patch: readonly object[]) => {
    const file = join(directory, `${name}.json`);
    await shell(`kubectl -n ${namespace} get deployment clinic-${service} -o json |
      jq '{apiVersion, kind, metadata: {name: "${name}"}, spec: {selector: {matchLabels: {app: "${name}"}}, template: (.spec.template | .metadata.labels = {app: "${name}"} | del(.spec.initContainers))}}' > ${file}`);
    await writeFile(`${file}.patch`, JSON.stringify(patch));
    const patched = await run("kubectl", "patch", "--local", "-f", file, "--type=json", "--patch-file", `${file}.patch`, "-o", "json");
    await writeFile(file, patched);
    await run("kubectl", "-n", namespace, "create", "-f", file);
  };
  const removeClone = async (name: string) => {
    await run("kubectl", "-n", namespace, "delete", "deployment", name, "--wait=false");
  };
  const said = async (name: string) => {
    const log = await run("kubectl", "-n", namespace, "logs", "-l", `app=${name}`, "--tail=40").catch(() => "");
    const previous = await run("kubectl", "-n", namespace, "logs", "-l", `app=${name}`, "--tail=40", "--previous").catch(() => "");
    const events = await shell(
      `kubectl -n ${namespace} get events -o json | jq -r '.items[] | select(.involvedObject.name | startswith("${name}-")) | "\\(.reason): \\(.message)"'`,
    );
    return { log: `${log}\n${previous}`, events };
  };

  const manifest = join(directory, "service.yaml.template");
  const template = await readFile(manifest, "utf8");
  assert(template.includes("secrets:\n") && template.includes("injection_files:\n"));
  await writeFile(
    manifest,
    template
      .replace(
        "  global:\n    - name: api_ca_key",
        `  global:\n    - name: canary\n      kind: ascii\n      value: ${canaries.secret}\n    - name: api_ca_key`,
      )
      .replace("injection_files:\n", "injection_files:\n  - path: /tls/canary\n    content: $$SCONE::canary$$\n"),
  );
  await provisionOnVolume(cluster);
  await build();
  await installMesh();
  for (const service of ["redis", "flask"]) await untilReady(service);
  const address = (await run("kubectl", "-n", namespace, "get", "service", "clinic-flask", "-o", "jsonpath={.spec.clusterIP}")).trim();
  const url = `https://${address}:4996`;
  await eventually("the service answers", () => run("curl", "-sSk", "--max-time", "5", `${url}/patient/nobody`));
  return { url, variables, build, installMesh, untilReady, pod, clone, removeClone, said };
}

/** A CAS whose database outlives its pod. */
async function provisionOnVolume(cluster: TestCluster): Promise<void> {
  const { namespace, directory, run, environment } = cluster;
  const { persistence } = await makeDatabaseVolume(cluster, "cas");
  const resource = `apiVersion: services.scone.cloud/v1beta1
kind: CAS
metadata: {name: cas, namespace: ${namespace}}
spec:
  image: ${environment["SCONECTL_REPO"]}/cas:${environment["VERSION"]}
  imagePullSecrets: [{name: sconeapps}]
  persistence: ${persistence}
`;
  await writeFile(join(directory, "cas.yaml"), resource);
  await run("kubectl", "provision", "cas", "cas", "-n", namespace, "-f", "cas.yaml");
}

/** Runs steps in their order; after a failure the rest would only wait, and is not run. */
export function stepsOf(t: TestContext): (name: string, work: () => Promise<void>) => Promise<void> {
  let hasFailed = false;
  return (name, work) =>
    t.test(name, async () => {
      assert(!hasFailed, "an earlier step failed");
      hasFailed = true;
      await work();
      hasFailed = false;
    });
}
