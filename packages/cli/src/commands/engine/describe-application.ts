import type { Application } from "@vouchsafe/local";

/** What `ps --json` and `up --json` print of an application. */
export function describeApplication({ status, state }: Application) {
  const services = [...new Set(status.instances.map(({ service }) => service))];
  return {
    release: status.release,
    namespace: status.namespace,
    state,
    startedAt: status.startedAt,
    evidence: status.evidence,
    services: services.map((name) => ({
      name,
      published: status.published.filter(({ service }) => service === name).map(({ port, address }) => ({ port, address })),
      instances: status.instances
        .filter(({ service }) => service === name)
        .map(({ service: _service, ...instance }) => (state === "crashed" ? { ...instance, state: "ended" } : instance)),
    })),
  };
}

/** A table with a row for each instance. */
export function renderApplications(applications: readonly Application[]): string {
  const rows = applications
    .map(describeApplication)
    .flatMap(({ release, state, evidence, services }) =>
      services.flatMap(({ name, published, instances }) =>
        instances.map((instance) => [
          release,
          instance.name,
          state === "running" ? instance.state : state,
          String(instance.restarts),
          evidence,
          published.map(({ port, address }) => `${address}->${port}`).join(", ") || "-",
          instance.reason ?? (instance.name === name ? "" : `replica of ${name}`),
        ]),
      ),
    );
  const table = [["RELEASE", "SERVICE", "STATE", "RESTARTS", "EVIDENCE", "PUBLISHED", ""], ...rows];
  const widths = table[0]?.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0))) ?? [];
  return table
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
