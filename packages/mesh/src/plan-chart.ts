import { serviceChartValues, valueAt } from "./chart-values.ts";
import type { Findings } from "./diagnostic.ts";
import { parseManifestYaml } from "./manifest-yaml.ts";
import type { MeshContext } from "./mesh-inputs.ts";
import { isPlainMapping, mergeValues, type PlainMapping, type PlainValue, plainMapping } from "./plain-value.ts";
import type { PreparedService } from "./prepare-service.ts";
import { renderNode } from "./render-template.ts";
import type { SecretSharing } from "./resolve-imports.ts";

/** The chart of one service. */
export interface ChartPlan {
  /** `built-in`: templates of the platform. `custom`: those of the image or the mesh, by path relative to the chart. */
  readonly source: { readonly kind: "built-in" } | { readonly kind: "custom"; readonly files: ReadonlyMap<string, string> };
  /** `values.yaml` of the service's chart. */
  readonly values: PlainMapping;
  /** The same after `helm_extra_values`: what will run. */
  readonly effective: PlainMapping;
  /** From `helm_extra_values`, for the umbrella chart. */
  readonly extra: PlainMapping;
}

export interface ChartContext extends MeshContext {
  readonly sharing: SecretSharing;
}

const PROTECTED_VALUES: readonly (readonly string[])[] = [["scone", "api_session"], ["scone", "cas"], ["image"]];

/** Chart values of every service, in the order given. */
export function planChart(services: readonly PreparedService[], context: ChartContext, findings: Findings): ChartPlan[] {
  const extras = extraValuesByService(services, context, findings);
  const first = services.map((service) => ownValues(service, context, extras.get(service.name) ?? {}, findings));
  const ports = new Map(services.map(({ name }, index) => [name, servicePort(first[index]?.effective ?? {})]));
  return first.map((own, index) => {
    const service = services[index];
    if (service === undefined || own.source.kind === "custom") return own;
    const chart = withAddition(own, { networkPolicy: { clients: clientsOf(service, context) } });
    if (service.scope.has("INIT_CONTAINER1_ENABLE") || hasInitContainer(chart.values)) return chart;
    return withWaits(chart, waitsFor(service, services, context, ports));
  });
}

export function servicePort(values: PlainMapping): number | undefined {
  const port = valueAt(values, "service", "port");
  return typeof port === "number" && port >= 1 && port <= 65_535 ? port : undefined;
}

/** A service waits for the owners of its imported secrets that have a port (MF-125). */
function waitsFor(
  service: PreparedService,
  services: readonly PreparedService[],
  { sharing, inputs }: ChartContext,
  ports: ReadonlyMap<string, number | undefined>,
): PlainValue[] {
  const owners = new Set(sharing.imports.filter(({ to }) => to === service.name).map(({ from }) => from));
  const circular = (owner: string): boolean => sharing.imports.some(({ to, from }) => to === owner && from === service.name);
  return services.flatMap(({ name, objectName }): PlainValue[] => {
    const port = ports.get(name);
    if (!owners.has(name) || port === undefined || circular(name)) return [];
    return [inputs.release === undefined ? { service: name, port } : { host: objectName, port }];
  });
}

/** Who connects to a service: those that import a secret from it. Without any, it serves whoever comes. */
const clientsOf = ({ name }: PreparedService, { sharing }: ChartContext): string[] =>
  [...new Set(sharing.imports.filter(({ from, to }) => from === name && to !== name).map(({ to }) => to))].sort();

const withWaits = (chart: ChartPlan, waitFor: readonly PlainValue[]): ChartPlan =>
  waitFor.length === 0 ? chart : withAddition(chart, { initContainers: { waitFor } });

function withAddition(chart: ChartPlan, addition: PlainMapping): ChartPlan {
  const values = mergeValues(chart.values, addition);
  return { ...chart, values, effective: mergeValues(values, chart.extra) };
}

const hasInitContainer = (values: PlainMapping): boolean => valueAt(values, "initContainers", "container1", "enabled") === true;

function ownValues(service: PreparedService, context: ChartContext, extra: PlainMapping, findings: Findings): ChartPlan {
  const files = service.image.overrides.chart ?? chartFiles(service.image.files);
  const given = context.mesh.services.find(({ name }) => name === service.name)?.helmChart;
  if (given !== undefined && !files.has("Chart.yaml"))
    findings.add(given.at, "E-CHART", `the directory ${given.text} has no Chart.yaml`, { expected: "a chart" });
  const rendered = renderValues(service, files, findings);
  if (files.has("Chart.yaml")) {
    const kept = new Map(
      [...files].filter(([path]) => path !== "values.yaml.template" && path !== "values.template" && path !== "values.yaml"),
    );
    return { source: { kind: "custom", files: kept }, values: rendered, effective: mergeValues(rendered, extra), extra };
  }
  const chart = {
    name: service.name,
    serviceId: service.serviceId,
    casHost: context.cas.host,
    image: service.pinnedImage,
    command: service.image.service.command[0] ?? "",
    objectName: context.inputs.release === undefined ? undefined : service.objectName,
    at: service.at,
  };
  const values = serviceChartValues(chart, service.scope, rendered, findings);
  return { source: { kind: "built-in" }, values, effective: mergeValues(values, extra), extra };
}

const chartFiles = (files: ReadonlyMap<string, string>): Map<string, string> =>
  new Map([...files].flatMap(([path, text]) => (path.startsWith("chart/") ? [[path.slice("chart/".length), text] as const] : [])));

function renderValues(service: PreparedService, files: ReadonlyMap<string, string>, findings: Findings): PlainMapping {
  const text = files.get("values.yaml.template") ?? files.get("values.yaml");
  if (text === undefined || text.replace(/^\s*#.*$/gm, "").trim() === "" || /^\s*(?:#[^\n]*\n)*\s*\{\s*\}\s*$/.test(text)) return {};
  const node = parseManifestYaml(text, `${service.image.reference}:/vouchsafe/mesh/chart/values.yaml.template`, findings);
  const rendered = node === undefined ? undefined : renderNode(node, service.scope, findings);
  return rendered?.kind === "mapping" ? plainMapping(rendered) : {};
}

/** `helm_extra_values` by service: a key is a service, an alias of a curated image, or `global`. */
function extraValuesByService(services: readonly PreparedService[], { mesh }: ChartContext, findings: Findings): Map<string, PlainMapping> {
  const byName = new Map<string, PlainMapping>();
  const aliases = new Map(services.flatMap(({ name, image }) => image.service.aliases.map((alias) => [alias, name] as const)));
  for (const [key, value] of Object.entries(mesh.extraValues.values)) {
    const at = mesh.extraValues.places.get(key) ?? mesh.policy.at;
    const target = services.some(({ name }) => name === key) ? key : aliases.get(key);
    if (key === "global") continue;
    if (target === undefined || !isPlainMapping(value)) {
      findings.add(at, "E-EXTRA-VALUES", `${key} is neither a service nor an alias`, {
        expected: `one of ${["global", ...services.map(({ name }) => name), ...aliases.keys()].join(", ")}`,
      });
      continue;
    }
    for (const path of PROTECTED_VALUES) {
      if (valueAt(value, ...path) !== undefined)
        findings.add(at, "W-EXTRA-OVERRIDE", `${key}.${path.join(".")} replaces a value that the policies depend on`);
    }
    byName.set(target, mergeValues(byName.get(target) ?? {}, value));
  }
  return byName;
}
