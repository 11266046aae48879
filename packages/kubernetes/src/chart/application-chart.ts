import { type MeshPlan, mergeValues, type PlainMapping, type PlainValue, toYaml } from "@vouchsafe/mesh";
import { SERVICE_CHART_TEMPLATES } from "./service-chart-templates.ts";
import { applicationValuesSchema, serviceValuesFile, serviceValuesSchema } from "./service-values.ts";

/** A policy as a resource of the cluster, in upload order. */
export interface PolicyResource {
  readonly kind: "SignedPolicy" | "EncryptedPolicy";
  readonly name: string;
  /** The policy's own name, for the label by which its hash is found (MF-100). */
  readonly policy: string;
  readonly spec: PlainMapping;
}

const API_VERSION = "cas.scone.cloud/v1beta1";

/** The object of a policy resource. With a weight it is a hook of the chart: there before the pods, kept after an uninstall (MF-104). */
export function policyObject({ kind, name, policy, spec }: PolicyResource, weight?: number): PlainMapping {
  const annotations: PlainMapping = {
    "vouchsafe.dev/policy-name": policy,
    ...(weight === undefined
      ? {}
      : {
          "helm.sh/hook": "pre-install,pre-upgrade",
          "helm.sh/hook-weight": String(weight),
          "helm.sh/hook-delete-policy": "before-hook-creation",
        }),
  };
  return { apiVersion: API_VERSION, kind, metadata: { name, labels: { "vouchsafe.dev/policy": name }, annotations }, spec };
}

/** Files of `target/helm`, by path: an umbrella chart with one chart for each service (manifests section 12). */
export function planApplicationChart(plan: MeshPlan, policies: readonly PolicyResource[]): ReadonlyMap<string, string> {
  const version = `0.${plan.releaseVersion}.0`;
  const names = plan.services.map(({ prepared }) => prepared.name);
  const umbrella: PlainMapping = {
    apiVersion: "v2",
    name: "confidential-mesh",
    description: `Confidential application of the policy namespace ${plan.namespace}`,
    type: "application",
    version,
    appVersion: plan.platformVersion,
    dependencies: names.map((name) => ({ name, version, condition: `${name}.enabled` })),
  };
  const given = plan.extraValues["global"];
  const platform: PlainMapping = { vouchsafe: { platformImage: plan.platformImage } };
  const values: PlainMapping = {
    global: typeof given === "object" && given !== null && !Array.isArray(given) ? mergeValues(platform, given as PlainMapping) : platform,
    ...Object.fromEntries(
      plan.services.map(({ prepared, chart }): [string, PlainValue] => [prepared.name, { enabled: true, ...chart.extra }]),
    ),
  };
  const files = new Map<string, string>([
    ["Chart.yaml", toYaml(umbrella)],
    [
      "values.yaml",
      toYaml(
        values,
        "Values of the whole application; each service has its own in charts/SERVICE/values.yaml. A service with enabled: false is left out.",
      ),
    ],
    ["values.schema.json", applicationValuesSchema(names)],
    ["templates/NOTES.txt", notes(plan)],
  ]);
  const misplaced = aliasGuards(plan, names);
  if (misplaced !== "") files.set("templates/aliases.yaml", misplaced);
  if (policies.length > 0) {
    const documents = policies.map((policy, index) => literal(toYaml(policyObject(policy, index + 1))));
    files.set("templates/policies.yaml", documents.join("---\n"));
  }
  for (const service of plan.services)
    for (const [path, text] of serviceChart(service, version, plan)) files.set(`charts/${service.prepared.name}/${path}`, text);
  return files;
}

function serviceChart({ prepared, chart }: MeshPlan["services"][number], version: string, plan: MeshPlan): Map<string, string> {
  if (chart.source.kind === "custom") {
    const files = new Map(chart.source.files);
    files.set("Chart.yaml", renamedChart(files.get("Chart.yaml") ?? "", prepared.name, version));
    return files.set("values.yaml", toYaml(chart.values));
  }
  const description: PlainMapping = {
    apiVersion: "v2",
    name: prepared.name,
    description: `Confidential service ${prepared.name}`,
    type: "application",
    version,
    appVersion: plan.platformVersion,
  };
  const casKey: PlainMapping = plan.cas.key === undefined ? {} : { scone: { cas_key: plan.cas.key } };
  return new Map([
    ["Chart.yaml", toYaml(description)],
    [
      "values.yaml",
      serviceValuesFile(mergeValues({ ...chart.values, global: { vouchsafe: { platformImage: plan.platformImage } } }, casKey)),
    ],
    ["values.schema.json", serviceValuesSchema()],
    ...SERVICE_CHART_TEMPLATES,
  ]);
}

/** An alias serves `helm_extra_values` of a mesh only (MF-108). Given to Helm it would have no effect, and nobody would be told. */
function aliasGuards({ services }: MeshPlan, names: readonly string[]): string {
  const guards = services.flatMap(({ prepared }) =>
    prepared.image.service.aliases
      .filter((alias) => !names.includes(alias))
      .map((alias) => {
        const message = `values under ${alias} have no effect here: put them under ${prepared.name}`;
        return `{{- if hasKey .Values ${JSON.stringify(alias)} }}{{ fail ${JSON.stringify(message)} }}{{ end }}\n`;
      }),
  );
  return [...new Set(guards)].join("");
}

/** Sets name and version of a chart that the user brings; of keys that occur twice the last one counts (MF-126). */
function renamedChart(text: string, name: string, version: string): string {
  const lines = text.split("\n").filter((line) => !/^(?:name|version):/.test(line));
  const seen = new Set<string>();
  const kept = lines
    .toReversed()
    .filter((line) => {
      const key = /^([A-Za-z][A-Za-z0-9]*):/.exec(line)?.[1];
      if (key === undefined) return true;
      if (seen.has(key)) return false;
      seen.add(key);
      return true;
    })
    .toReversed();
  return `name: ${name}\nversion: ${version}\n${kept.join("\n").replace(/\n*$/, "\n")}`;
}

/** Text in a template that Helm must not read as an action. */
const literal = (text: string): string => text.replace(/\{\{|\}\}/g, (braces) => `{{ ${JSON.stringify(braces)} }}`);

function notes(plan: MeshPlan): string {
  const fixed =
    plan.release === undefined
      ? ""
      : `{{- if ne .Release.Name ${JSON.stringify(plan.release)} }}
Host names were fixed for the release ${plan.release} when the mesh was applied; this release is {{ .Release.Name }}.
Apply the mesh again with --release {{ .Release.Name }} to have hosts named after it.
{{- end }}
`;
  return `The confidential application of the policy namespace ${plan.namespace} is being started. A service becomes ready when the CAS has attested it.
{{ "" }}
  kubectl get pods --namespace {{ .Release.Namespace }} -l app.kubernetes.io/instance={{ .Release.Name }}
  helm test {{ .Release.Name }} --namespace {{ .Release.Namespace }}
{{ "" }}
Why a pod does not start stands in its events and in its log:
{{ "" }}
  kubectl describe pods --namespace {{ .Release.Namespace }} -l app.kubernetes.io/instance={{ .Release.Name }}
  kubectl logs --namespace {{ .Release.Namespace }} -l app.kubernetes.io/instance={{ .Release.Name }} --all-containers --prefix
{{ "" }}
An uninstall keeps the policies in the CAS, and with them the keys that the services were given.
${fixed}`;
}
