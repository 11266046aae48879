import type { CasResource } from "../custom-resources/resources.ts";

/** Ports inside the pod; the Service may show others. */
export const CAS_POD_PORTS = { client: 8081, enclave: 18_765 } as const;
export const CONFIGURATION_DIRECTORY = "/etc/vouchsafe";
const BUNDLE_DIRECTORY = "/etc/vouchsafe-collateral";
const CONFIGURATION_FILE = "cas.toml";
const CA_FILE = "collateral-ca.pem";

/** Not part of the configuration directory: a change of it needs no other pod. */
export const TERMS_DIRECTORY = "/etc/vouchsafe-attestation";
const TERMS_FILE = "terms.json";

/** What attested probes accept, as a file that changes while the pod lives. */
export const probeTerms = ({ spec }: CasResource): Readonly<Record<string, string>> => ({
  [TERMS_FILE]: JSON.stringify(spec.attestation, undefined, 2),
});

/** The program of a probe that attests the CAS in its own container. */
export const probeCommand = (): readonly string[] => [
  ...["/vouchsafe/bin/launcher", "probe", "--terms", `${TERMS_DIRECTORY}/${TERMS_FILE}`],
  ...["--config", configurationFile, "--address", `127.0.0.1:${CAS_POD_PORTS.client}`],
];

export const configurationFile = `${CONFIGURATION_DIRECTORY}/${CONFIGURATION_FILE}`;

/** Where the bundles of one ConfigMap lie in the pod. */
export const bundleDirectory = (configMap: string): string => `${BUNDLE_DIRECTORY}/${configMap}`;

/** Files of the CAS's configuration by name: the availability configuration (cas.md §4) and what it names. Not secret. */
export function casConfiguration(cas: CasResource): Readonly<Record<string, string>> {
  const { collateral } = cas.spec;
  return {
    [CONFIGURATION_FILE]: cas.spec.configuration ?? availabilityConfiguration(cas),
    ...(collateral?.caCertificate === undefined ? {} : { [CA_FILE]: collateral.caCertificate }),
  };
}

/** Tables of TOML; its strings and arrays of strings are written as JSON writes them. */
function availabilityConfiguration({ spec }: CasResource): string {
  const { persistence, databaseSnapshots: snapshots, collateral } = spec;
  const tables: Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>> = {
    database: { path: `${persistence.mountPath}/cas.db` },
    api: { api_listen: `0.0.0.0:${CAS_POD_PORTS.client}`, enclave_listen: `0.0.0.0:${CAS_POD_PORTS.enclave}` },
    database_snapshots: snapshots.enabled ? { target_directory: snapshots.targetDirectory, interval: snapshots.interval } : undefined,
    collateral: collateral === undefined ? undefined : collateralTable(collateral, `${persistence.mountPath}/collateral`),
  };
  return Object.entries(tables)
    .flatMap(([name, table]) => (table === undefined ? [] : [`[${name}]\n${lines(table)}`]))
    .join("\n");
}

function collateralTable(collateral: NonNullable<CasResource["spec"]["collateral"]>, cacheDirectory: string) {
  return {
    bundles: collateral.bundles.map(({ configMap, key }) => `${bundleDirectory(configMap)}/${key}`),
    intel: collateral.intel,
    amd: collateral.amd,
    ca_certificate_file: collateral.caCertificate === undefined ? undefined : `${CONFIGURATION_DIRECTORY}/${CA_FILE}`,
    cache_directory: cacheDirectory,
    offline: collateral.offline,
    update: collateral.update,
    max_age_days: collateral.maxAgeDays,
    refresh_hours: collateral.refreshHours,
    timeout_seconds: collateral.timeoutSeconds,
  };
}

const lines = (table: Readonly<Record<string, unknown>>): string =>
  Object.entries(table)
    .flatMap(([key, value]) => (value === undefined ? [] : [`${key} = ${JSON.stringify(value)}\n`]))
    .join("");
