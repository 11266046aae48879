import { valueAt } from "./chart-values.ts";
import type { MeshRecord, PolicyRecord, ServiceRecord } from "./mesh-record.ts";
import { isPlainMapping, type PlainMapping } from "./plain-value.ts";
import { servicePort } from "./plan-chart.ts";
import type { MeshPlan, PlannedService } from "./plan-mesh.ts";
import { parseSize } from "./runtime-setting.ts";

/** `target/mesh.json` of a plan whose policies were signed. */
export function meshRecord(plan: MeshPlan, policies: readonly PolicyRecord[]): MeshRecord {
  return {
    format: 1,
    platformVersion: plan.platformVersion,
    namespace: plan.namespace,
    release: plan.release ?? null,
    mode: plan.mode,
    evidence: [...plan.evidence.kinds],
    ...(plan.evidence.simulates === undefined ? {} : { simulates: plan.evidence.simulates }),
    cas: { name: plan.cas.name, host: plan.cas.host, clientPort: plan.cas.port, key: plan.cas.key ?? null, mode: plan.cas.mode },
    nameService: plan.nameService,
    policies: [...policies],
    secretFlows: plan.imports.map(({ from, secret, to, as }) => ({ from, secret, to, as })),
    services: plan.services.map((service) => serviceRecord(service, plan)),
  };
}

function serviceRecord({ prepared, chart, codeIdentities, publicSecrets }: PlannedService, plan: MeshPlan): ServiceRecord {
  const { image } = prepared;
  const values = chart.effective;
  const port = servicePort(values);
  const memory = parseSize(String(valueAt(values, "resources", "limits", "memory") ?? "").replace(/i$/, ""));
  const restart = valueAt(values, "jobs", "restartPolicy");
  const grace = valueAt(values, "terminationGracePeriodSeconds");
  const replicas = valueAt(values, "replicaCount");
  const volumes = valueAt(values, "volumes");
  return {
    name: prepared.name,
    policy: prepared.policy,
    serviceId: prepared.serviceId,
    hostName: prepared.objectName,
    image: { reference: image.reference, digest: image.digest, ...(image.layoutDir === undefined ? {} : { layoutDir: image.layoutDir }) },
    fileSystemTag: image.service.fileSystem?.tag ?? null,
    containerCommand: image.service.command.slice(0, 1),
    containerEnvironment: {
      SCONE_CONFIG_ID: prepared.serviceId,
      SCONE_CAS_ADDR: plan.cas.host,
      SCONE_LOG: String(valueAt(values, "scone", "scone_log") ?? "error"),
      SCONE_VERSION: String(valueAt(values, "scone", "scone_version") ?? "0"),
      ...(plan.cas.key === undefined ? {} : { VOUCHSAFE_CAS_KEY: plan.cas.key }),
    },
    ports: port === undefined ? [] : [{ port, publish: String(port) === prepared.appServicePort }],
    waitFor: waits(values, plan.release),
    readiness: readiness(values),
    restartPolicy: restart === "OnFailure" || restart === "Never" ? restart : "Always",
    terminationGracePeriodSeconds: typeof grace === "number" ? grace : 5,
    ...(memory === undefined || memory === 0 ? {} : { memoryBytes: memory }),
    replicas: typeof replicas === "number" ? replicas : 1,
    codeIdentities: Object.fromEntries(codeIdentities),
    volumes: isPlainMapping(volumes)
      ? Object.entries(volumes).map(([name, volume]) => ({ name, path: String(valueAt(volume, "mountPath") ?? "") }))
      : [],
    publicSecrets: [...publicSecrets],
  };
}

function waits(values: PlainMapping, release: string | undefined): ServiceRecord["waitFor"] {
  const containers = ["container1", "container2"]
    .map((name) => valueAt(values, "initContainers", name))
    .filter((container) => isPlainMapping(container) && container["enabled"] === true);
  const listed = valueAt(values, "initContainers", "waitFor");
  return [...containers, ...(Array.isArray(listed) ? listed : [])].flatMap((item) => {
    if (!isPlainMapping(item) || typeof item["port"] !== "number") return [];
    const host =
      typeof item["host"] === "string" ? item["host"] : `${release === undefined ? "" : `${release}-`}${String(item["service"])}`;
    return [{ host, port: item["port"] }];
  });
}

function readiness(values: PlainMapping): ServiceRecord["readiness"] {
  const mode = valueAt(values, "readiness", "mode");
  const port = Number(valueAt(values, "readiness", "port"));
  if (mode === "tcp" && port >= 1 && port <= 65_535) return { mode, port };
  return mode === "none" ? { mode } : { mode: "launcher" };
}
