import { parse, TomlError } from "smol-toml";
import { z } from "zod";
import { CasError } from "../cas-error.ts";
import type { CollateralOptions } from "../collateral/cas-collateral.ts";
import { CollateralText, readCollateralConfig } from "./collateral-config.ts";
import { describeIssues } from "./describe-issues.ts";

const Listen = z.string().regex(/^(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z.-]+):[0-9]{1,5}$/);

const AvailabilityText = z.strictObject({
  database: z.strictObject({ path: z.string().min(1).optional(), url: z.string().optional() }),
  api: z.strictObject({ api_listen: Listen.default("0.0.0.0:8081"), enclave_listen: Listen.default("0.0.0.0:18765") }).optional(),
  audit_log: z.strictObject({ path: z.string().default("/var/log/cas/audit/cas_audit.log") }).optional(),
  metrics: z.strictObject({ listen: Listen }).optional(),
  collateral: CollateralText.optional(),
  database_snapshots: z.strictObject({ target_directory: z.string(), interval: z.string().default("60s") }).optional(),
});

/** What the operator decides: where things are. Not secret, not attested (cas.md §4). */
export interface AvailabilityConfig {
  /** With a database service it only names the key store. */
  readonly databasePath: string;
  /** `postgres://…` instead of the file (extension). */
  readonly databaseUrl: string | undefined;
  readonly clientListen: ListenAddress;
  readonly serviceListen: ListenAddress;
  readonly metricsListen: ListenAddress | undefined;
  readonly auditLogPath: string;
  readonly collateral: CollateralOptions | undefined;
  readonly snapshots: { readonly directory: string; readonly intervalMs: number } | undefined;
}

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

const DURATION_UNITS = { s: 1000, m: 60_000, h: 3_600_000 } as const;

/** Throws CONFIGURATION with file, line and column. */
export function parseAvailabilityConfig(text: string, file: string): AvailabilityConfig {
  let value: unknown;
  try {
    value = parse(text);
  } catch (cause) {
    const at = cause instanceof TomlError ? `${file}:${cause.line}:${cause.column}` : file;
    throw new CasError("CONFIGURATION", `${at}: not TOML`, { cause });
  }
  const parsed = AvailabilityText.safeParse(value);
  if (!parsed.success) throw new CasError("CONFIGURATION", describeIssues(parsed.error.issues, text, file));
  const { database, api, metrics, audit_log, collateral, database_snapshots: snapshots } = parsed.data;
  if (database.path === undefined) throw new CasError("CONFIGURATION", `${file}: database.path is required`);
  return {
    databasePath: database.path,
    databaseUrl: database.url,
    clientListen: parseListenAddress(api?.api_listen ?? "0.0.0.0:8081"),
    serviceListen: parseListenAddress(api?.enclave_listen ?? "0.0.0.0:18765"),
    metricsListen: metrics === undefined ? undefined : parseListenAddress(metrics.listen),
    collateral: collateral === undefined ? undefined : readCollateralConfig(collateral, file),
    auditLogPath: audit_log?.path ?? "/var/log/cas/audit/cas_audit.log",
    snapshots:
      snapshots === undefined ? undefined : { directory: snapshots.target_directory, intervalMs: parseInterval(snapshots.interval, file) },
  };
}

/** `address:port`, IPv6 in brackets. Throws CONFIGURATION. */
export function parseListenAddress(text: string): ListenAddress {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):([0-9]{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host !== undefined && port <= 65_535) return { host, port };
  throw new CasError("CONFIGURATION", `${JSON.stringify(text)} is not address:port`);
}

function parseInterval(text: string, file: string): number {
  const match = /^([1-9][0-9]{0,5})\s*(s|m|h)$/.exec(text);
  const unit = match?.[2] as keyof typeof DURATION_UNITS | undefined; // the expression admits these three only
  if (match === null || unit === undefined)
    throw new CasError("CONFIGURATION", `${file}: database_snapshots.interval: expected e.g. "60s" or "5m"`);
  return Number(match[1]) * DURATION_UNITS[unit];
}
