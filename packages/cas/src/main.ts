import { createPublicKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type TrustAnchors, VENDOR_TRUST_ANCHORS } from "@vouchsafe/attestation";
import { bundleFileSource } from "@vouchsafe/collateral";
import { keyHashOf } from "@vouchsafe/policy";
import { CasError } from "./cas-error.ts";
import type { CollateralOptions } from "./collateral/cas-collateral.ts";
import { parseAvailabilityConfig, parseListenAddress } from "./config/availability-config.ts";
import { openDevelopmentPlatform } from "./development/development-platform.ts";
import { type CasProcessStatus, startTicksOf } from "./process/cas-process.ts";
import { writeDurably } from "./sealing/durable-file.ts";
import { type CasOptions, type RunningCas, startCas } from "./start-cas.ts";

const HELP = `Usage: cas [options]

Runs the configuration and attestation service.

  --config FILE                       availability configuration (TOML)
  --state DIR                         database and platform key here; instead of --config
  --client-listen ADDRESS:PORT        client API (default 0.0.0.0:8081)
  --service-listen ADDRESS:PORT       service interface (default 0.0.0.0:18765)
  --platform-key FILE                 seals the database key; made on first start
  --owner-config FILE                 provision yourself at start with this owner configuration. Its price: whoever starts the CAS can
                                      read and replace the configuration, ownership can be taken, an old instance can pass as new
  --self-provision                    the same with the default configuration
  --owner-identity FILE               owner's certificate (PEM) for self-provisioning
  --skip-if-already-provisioned       do not fail when there is an owner already
  --accept-rollback                   go on with a database that may be an old one: its newest changes are lost
  --enrol-node-key FILE               trust node statements signed by this public key (PEM); repeatable
  --collateral-bundle FILE            collateral of SGX, TDX and SEV-SNP platforms, made by "vouchsafe collateral bundle"; repeatable,
                                      asked before the sources of --config
  --status-file FILE                  write addresses, key hash and process number here once it serves (JSON)
  --only_for_testing-simulated-root FILE
                                      believe simulated evidence under this root certificate (PEM); it proves nothing
  --only_for_testing-simulated-platform DIR
                                      keep a development root and the keys of a software platform in DIR, made when missing, and believe
                                      its evidence where a policy names \`simulated\`
  --name NAME                         further name or address for the TLS certificate; repeatable
`;

/** Reads the options of the process. Throws CasError CONFIGURATION. */
function readOptions(argv: readonly string[]): (CasOptions & { readonly statusFile: string | undefined }) | "help" {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      config: { type: "string" },
      state: { type: "string" },
      "client-listen": { type: "string" },
      "service-listen": { type: "string" },
      "platform-key": { type: "string" },
      "owner-config": { type: "string" },
      "owner-identity": { type: "string" },
      "self-provision": { type: "boolean" },
      "status-file": { type: "string" },
      "accept-rollback": { type: "boolean" },
      "only_for_testing-simulated-root": { type: "string" },
      "only_for_testing-simulated-platform": { type: "string" },
      "skip-if-already-provisioned": { type: "boolean" },
      "collateral-bundle": { type: "string", multiple: true },
      "enrol-node-key": { type: "string", multiple: true },
      name: { type: "string", multiple: true },
      help: { type: "boolean" },
    },
  });
  if (values.help) return "help";
  const file = values.config === undefined ? undefined : parseAvailabilityConfig(readFileSync(values.config, "utf8"), values.config);
  const databasePath = file?.databasePath ?? (values.state === undefined ? undefined : join(values.state, "cas.db"));
  if (databasePath === undefined)
    throw new CasError("CONFIGURATION", "neither --config nor --state was given", { remedy: "Run with --help." });
  const listen = (text: string | undefined, fallback: string) => parseListenAddress(text ?? fallback);
  const owner = values["owner-identity"] === undefined ? undefined : readCertificate(values["owner-identity"]);
  const ownerConfig = values["owner-config"] === undefined ? undefined : readFileSync(values["owner-config"], "utf8");
  const config = ownerConfig ?? (values["self-provision"] === true ? "" : undefined);
  return {
    statusFile: values["status-file"],
    trustAnchors: trustAnchors(values["only_for_testing-simulated-root"], values["only_for_testing-simulated-platform"]),
    acceptRollback: values["accept-rollback"] === true,
    databasePath,
    platformKeyPath: values["platform-key"] ?? join(values.state ?? "/var/lib/vouchsafe", "platform.key"),
    clientListen:
      values["client-listen"] === undefined && file !== undefined ? file.clientListen : listen(values["client-listen"], "0.0.0.0:8081"),
    serviceListen:
      values["service-listen"] === undefined && file !== undefined ? file.serviceListen : listen(values["service-listen"], "0.0.0.0:18765"),
    auditLogPath: file?.auditLogPath,
    collateral: withBundles(file?.collateral ?? { sources: [] }, values["collateral-bundle"] ?? []),
    metricsListen: file?.metricsListen,
    snapshots: file?.snapshots,
    postgres: file?.databaseUrl === undefined ? undefined : { connection: { connectionString: file.databaseUrl } },
    selfProvision: config === undefined ? undefined : { config, ...(owner === undefined ? {} : { owner }) },
    failIfProvisioned: config !== undefined && values["skip-if-already-provisioned"] !== true,
    nodeKeys: (values["enrol-node-key"] ?? []).map((path) => createPublicKey(readFileSync(path, "utf8"))),
    altNames: values.name ?? [],
  };
}

function withBundles(options: CollateralOptions, files: readonly string[]): CollateralOptions {
  return { ...options, sources: [...files.map(bundleFileSource), ...options.sources] };
}

function trustAnchors(simulatedRootFile: string | undefined, simulatedPlatform: string | undefined): TrustAnchors {
  const simulated = [
    ...(simulatedRootFile === undefined ? [] : [new X509Certificate(readFileSync(simulatedRootFile)).raw]),
    ...(simulatedPlatform === undefined ? [] : [openDevelopmentPlatform(simulatedPlatform, new Date()).root]),
  ];
  return simulated.length === 0 ? VENDOR_TRUST_ANCHORS : { ...VENDOR_TRUST_ANCHORS, simulated };
}

function readCertificate(path: string): { readonly keyHash: string; readonly pem: string } {
  const pem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(readFileSync(path, "utf8"))?.[0];
  if (pem === undefined) throw new CasError("CONFIGURATION", `${path} holds no PEM certificate`);
  return { keyHash: keyHashOf(new X509Certificate(pem).publicKey), pem };
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options === "help") {
    process.stdout.write(HELP);
    return;
  }
  const cas = await startCas(options);
  if (options.statusFile !== undefined) writeDurably(options.statusFile, `${JSON.stringify(statusOf(cas))}\n`);
  const stop = (): void => {
    process.off("SIGTERM", stop).off("SIGINT", stop);
    cas[Symbol.asyncDispose]().then(
      () => process.exit(), // 0, unless something set another code before it asked for the end
      (error: unknown) => fail(error),
    );
  };
  process.on("SIGUSR1", () => cas.takeSnapshot().catch(fail));
  process.on("SIGTERM", stop).on("SIGINT", stop);
}

function statusOf({ clientAddress, serviceAddress, casKeyHash, sessionEncryptionKey }: RunningCas): CasProcessStatus {
  const startTicks = startTicksOf(process.pid) ?? "";
  return { pid: process.pid, startTicks, client: clientAddress, service: serviceAddress, casKeyHash, sessionEncryptionKey };
}

function fail(error: unknown): void {
  if (error instanceof CasError) {
    process.stderr.write(`error: ${error.message}\n${error.remedy === undefined ? "" : `help: ${error.remedy}\n`}`);
  } else {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  }
  process.exit(1);
}

main().catch(fail);
