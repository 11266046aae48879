import type { Findings, Place } from "./diagnostic.ts";
import { readWord, shortText } from "./manifest-reader.ts";
import { isPlainMapping, mergeValues, type PlainMapping, type PlainValue } from "./plain-value.ts";
import { checkPort } from "./runtime-setting.ts";
import type { VariableScope } from "./variable-scope.ts";

/** What a service is to its chart. */
export interface ChartService {
  readonly name: string;
  readonly serviceId: string;
  readonly casHost: string;
  /** `repository:tag@digest`. */
  readonly image: string;
  readonly command: string;
  /** Object name with `--release`, else undefined (MF-116). */
  readonly objectName: string | undefined;
  /** For findings that concern a default. */
  readonly at: Place;
}

const WORKLOADS = ["deployment", "statefulset", "job"] as const;
const RESTART_POLICIES = ["Always", "OnFailure", "Never"] as const;

/** Values of the built-in service chart (manifests section 12.2), from the chart variables and what the image overrides. */
export function serviceChartValues(service: ChartService, scope: VariableScope, overrides: PlainMapping, findings: Findings): PlainMapping {
  const text = (name: string): { text: string; at: Place } | undefined => {
    const entry = scope.entry(name);
    if (entry === undefined) return undefined;
    const at = entry.kind === "variable" ? entry.value.at : service.at;
    const value = scope.value(name, at, findings);
    if (value?.includes("$$SCONE::")) {
      findings.add(at, "E-SECRET-PLACE", `the chart variable ${name} holds a secret reference`, {
        expected: "a plain value: the chart is public",
      });
      return undefined;
    }
    return value === undefined ? undefined : { text: value, at };
  };
  const word = <W extends string>(name: string, words: readonly W[], fallback: W): W => {
    const value = text(name);
    return value === undefined || value.text === "" ? fallback : (readWord(value, words, "E-CHART-VALUE", findings) ?? fallback);
  };
  const port = (name: string): number | undefined => {
    const value = text(name);
    if (value === undefined || value.text === "") return undefined;
    return parsePort(name, value, findings);
  };
  const workloadKind = word("workloadKind", WORKLOADS, "deployment");
  const pullSecrets = (text("imagePullSecrets")?.text ?? "")
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  const servicePort = port("APP_SERVICE_PORT");
  const replicas = text("replicaCount");
  if (replicas !== undefined && !/^\d{1,5}$/.test(replicas.text))
    findings.add(replicas.at, "E-CHART-VALUE", `replicaCount is ${shortText(replicas.text)}`, { expected: "an integer, 0 or more" });
  const base: PlainMapping = {
    replicaCount: Number(replicas?.text ?? "1") || 0,
    image: service.image,
    imagePullPolicy: "Always",
    imagePullSecrets: pullSecrets.map((name) => ({ name })),
    nameOverride: "",
    fullnameOverride: service.objectName ?? "",
    workloadKind,
    podSecurityContext: {},
    securityContext: {},
    resources: sgxResources(
      word("useSGXDevPlugin", ["scone", "azure", "none"], "scone"),
      text("sgxEpcMem"),
      text("useSGXDevPlugin")?.at ?? service.at,
      findings,
    ),
    nodeSelector: {},
    tolerations: [],
    affinity: {},
    ingress: { enabled: false, annotations: {}, hosts: [], tls: [] },
    service: {
      type: word("serviceType", ["ClusterIP", "NodePort", "LoadBalancer"], "ClusterIP"),
      ...(servicePort === undefined ? {} : { port: servicePort }),
      annotations: {},
    },
    scone: {
      api_session: service.serviceId,
      cas: service.casHost,
      command: [service.command],
      scone_log: text("SCONE_LOG")?.text ?? "error",
      scone_version: text("SCONE_VERSION")?.text ?? "0",
    },
    initContainers: { container1: { enabled: false, host: "", port: 0 }, container2: { enabled: false, host: "", port: 0 }, waitFor: [] },
    jobs: { restartPolicy: word("restartPolicy", RESTART_POLICIES, "Always") },
    readiness: { mode: "launcher" },
    terminationGracePeriodSeconds: 5,
    extraEnv: [],
    extraVolumes: [],
    extraVolumeMounts: [],
    podAnnotations: {},
    volumes: {},
  };
  const values = mergeValues(base, typedOverrides(overrides, findings, service.at));
  return checkRestart(
    values,
    text("restartPolicy")?.at ?? service.at,
    text("restartPolicy") !== undefined && scope.entry("restartPolicy")?.kind === "variable",
    findings,
  );
}

function parsePort(name: string, value: { text: string; at: Place }, findings: Findings): number | undefined {
  if (/^\d{1,5}$/.test(value.text) && Number(value.text) >= 1 && Number(value.text) <= 65_535) return Number(value.text);
  findings.add(value.at, "E-CHART-VALUE", `${name} is ${shortText(value.text)}`, { expected: "a port, 1–65535" });
  return undefined;
}

/** MF-119. */
function sgxResources(
  plugin: "scone" | "azure" | "none",
  epc: { text: string; at: Place } | undefined,
  at: Place,
  findings: Findings,
): PlainMapping {
  if (plugin === "none") return {};
  if (plugin === "scone") return { limits: { "sgx.intel.com/enclave": 1 } };
  if (epc === undefined || epc.text === "") {
    findings.add(at, "E-CHART-VALUE", "useSGXDevPlugin is azure, but sgxEpcMem is not set", { expected: "sgxEpcMem in MiB" });
    return {};
  }
  if (!/^\d{1,7}$/.test(epc.text))
    findings.add(epc.at, "E-CHART-VALUE", `sgxEpcMem is ${shortText(epc.text)}`, { expected: "an integer, in MiB" });
  return { limits: { "sgx.intel.com/epc": `${epc.text}Mi` } };
}

/** Overrides are rendered texts: the fields that are booleans and ports become such. */
function typedOverrides(overrides: PlainMapping, findings: Findings, at: Place): PlainMapping {
  const containers = overrides["initContainers"];
  const service = overrides["service"];
  const memory = overrides["memoryBytes"];
  const { memoryBytes: _memory, ...rest } = overrides;
  return {
    ...rest,
    ...(isPlainMapping(containers)
      ? {
          initContainers: Object.fromEntries(
            Object.entries(containers).map(([key, value]) => [key, isPlainMapping(value) ? initContainer(value, findings, at) : value]),
          ),
        }
      : {}),
    ...(isPlainMapping(service) && typeof service["port"] === "string"
      ? { service: { ...service, port: Number(service["port"]) || 0 } }
      : {}),
    ...(typeof memory === "number" ? { resources: { limits: { memory: `${Math.ceil(memory / 1024 / 1024)}Mi` } } } : {}),
  };
}

function initContainer(value: PlainMapping, findings: Findings, at: Place): PlainMapping {
  const enabled = String(value["enabled"]).toLowerCase() === "true";
  const port = String(value["port"] ?? "");
  if (enabled) checkPort("the port of an init container", { text: port, at }, findings);
  return { ...value, enabled, port: Number(port) || 0 };
}

/** MF-122: only jobs end; everything else is restarted always. */
function checkRestart(values: PlainMapping, at: Place, isGiven: boolean, findings: Findings): PlainMapping {
  const jobs = values["jobs"];
  const policy = isPlainMapping(jobs) ? String(jobs["restartPolicy"]) : "Always";
  if (values["workloadKind"] === "job") {
    if (isGiven && policy === "Always")
      findings.add(at, "E-CHART-VALUE", "restartPolicy is Always for a job", { expected: "OnFailure or Never" });
    return { ...values, jobs: { restartPolicy: policy === "Always" ? "OnFailure" : policy } };
  }
  if (policy === "Always") return values;
  findings.add(at, "W-RESTART-POLICY", `restartPolicy ${policy} is not possible for a ${String(values["workloadKind"])}; Always is used`);
  return { ...values, jobs: { restartPolicy: "Always" } };
}

/** The value at a path of chart values. */
export function valueAt(values: PlainValue | undefined, ...path: readonly string[]): PlainValue | undefined {
  let at = values;
  for (const key of path) at = isPlainMapping(at) ? at[key] : undefined;
  return at;
}
