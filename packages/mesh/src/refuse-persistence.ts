import { valueAt } from "./chart-values.ts";
import type { Findings } from "./diagnostic.ts";
import type { MeshManifest } from "./mesh-manifest.ts";
import type { ChartPlan } from "./plan-chart.ts";
import type { PreparedService } from "./prepare-service.ts";

const HINT = "its state is in memory and gone with its pod: keep what must last elsewhere";

/**
 * Curated images keep their state in memory (MF-109, MF-110): there are no encrypted volumes for programs to write to, and a plain one would show the
 * data to the node. Whoever asks for persistence is told so when the mesh is applied, not when the data is gone.
 */
export function refusePersistence(service: PreparedService, chart: ChartPlan, { extraValues }: MeshManifest, findings: Findings): void {
  const variable = service.scope.entry("redis_persistence");
  const isRedis = service.image.service.kind === "curated" && service.image.service.name === "redis";
  if (isRedis && variable?.kind === "variable") {
    const { at } = variable.value;
    const value = service.scope.value("redis_persistence", at, findings);
    if (value !== undefined && !/^(?:|no|false|0)$/i.test(value)) {
      const found = `redis_persistence of ${service.name} is ${JSON.stringify(value)}, and this release cannot keep snapshots encrypted`;
      findings.add(at, "E-CHART-VALUE", found, { expected: "no", hint: HINT });
    }
  }
  if (chart.source.kind === "custom") return; // a chart of the user may well have a value of that name
  const enabled = valueAt(chart.effective, "persistence", "enabled");
  if (enabled === undefined || /^(?:|false)$/i.test(String(enabled))) return;
  const key = [service.name, ...service.image.service.aliases].find((name) => extraValues.places.has(name));
  const at = (key === undefined ? undefined : extraValues.places.get(key)) ?? service.at;
  const found = `persistence.enabled of ${service.name} is ${String(enabled)}, and this release cannot keep a program's files encrypted on a volume`;
  findings.add(at, "E-CHART-VALUE", found, { expected: "false", hint: HINT });
}
