import { createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type ParseArgsOptionsConfig, parseArgs } from "node:util";
import { SIMULATED_KINDS, type TrustAnchors, VENDOR_TRUST_ANCHORS } from "@vouchsafe/attestation";
import { parseTpmAddress, type TpmAddress } from "@vouchsafe/attester";
import { bundleFileSource } from "@vouchsafe/collateral";
import { keyHashOf } from "@vouchsafe/policy";
import { CasError } from "../cas-error.ts";
import type { CollateralOptions } from "../collateral/cas-collateral.ts";
import { parseAvailabilityConfig, parseListenAddress } from "../config/availability-config.ts";
import { openDevelopmentPlatform } from "../development/development-platform.ts";
import { findOwnPlatform, type OwnPlatformOptions } from "../identity/own-platform.ts";
import { choosePlatformKey } from "../sealing/choose-platform-key.ts";
import { keyStorePath } from "../sealing/key-store.ts";
import type { CasOptions } from "../start-cas.ts";
import { CAS_SOFTWARE } from "../version.ts";

export const HELP = `Usage: cas [provision] [options]
       cas probe --terms FILE [--config FILE] [--address HOST:PORT]

Runs the configuration and attestation service. With the word "provision" it provisions itself first: --owner-config is needed then.
With "probe" it attests the CAS that runs (at 127.0.0.1:8081 unless told), as the terms in FILE want it (JSON, as spec.attestation of a CAS resource), with
collateral as the availability configuration says: exit status 0, or 1 with the reasons.

  --config FILE                       availability configuration (TOML)
  --state DIR                         database and platform key here; instead of --config
  --client-listen ADDRESS:PORT        client API (default 0.0.0.0:8081)
  --service-listen ADDRESS:PORT       service interface (default 0.0.0.0:18765)
  --platform-key FILE                 seals the database key; made on first start. Repeatable: the first one that opens the key store counts, or the
                                      first where there is no key store yet
  --anchor FILE                       remembers how far the database has come (default: beside the platform key). Let it follow the database where
                                      another machine takes over, or the owner has to accept a roll-back there
  --owner-config FILE                 provision yourself at start with this owner configuration. Its price: whoever starts the CAS can
                                      read and replace the configuration, ownership can be taken, an old instance can pass as new
  --self-provision                    the same with the default configuration
  --owner-identity FILE               owner's certificate (PEM) for self-provisioning
  --skip-if-already-provisioned       do not fail when there is an owner already
  --accept-rollback                   go on with a database that may be an old one: its newest changes are lost
  --enrol-node-key FILE               trust node statements signed by this public key (PEM); repeatable
  --collateral-bundle FILE            collateral of SGX, TDX and SEV-SNP platforms, made by "vouchsafe collateral bundle"; repeatable,
                                      asked before the sources of --config
  --stop-after SECONDS                end after this time: for a CAS that only waits to be registered as a backup
  --status-file FILE                  write addresses, key hash and process number here once it serves (JSON)
  --only_for_testing-simulated-root FILE
                                      believe simulated evidence under this root certificate (PEM); it proves nothing
  --only_for_testing-simulated-platform DIR
                                      keep a development root and the keys of a software platform in DIR, made when missing, and believe
                                      its evidence where a policy names \`simulated\`
  --tpm ADDRESS                       give evidence of this TPM about this CAS, unless the machine is a confidential guest, which is preferred:
                                      device:/dev/tpmrm0, unix:PATH or tcp:HOST:PORT
  --only_for_testing-simulated-evidence KIND
                                      give simulated evidence about this CAS, of the platform of --only_for_testing-simulated-platform:
                                      sgx, tdx, snp or tpm; where there is hardware, its own
  --name NAME                         further name or address for the TLS certificate; repeatable
`;

const OPTIONS = {
  config: { type: "string" },
  state: { type: "string" },
  "client-listen": { type: "string" },
  "service-listen": { type: "string" },
  "platform-key": { type: "string", multiple: true },
  anchor: { type: "string" },
  "owner-config": { type: "string" },
  "owner-identity": { type: "string" },
  "self-provision": { type: "boolean" },
  "status-file": { type: "string" },
  "stop-after": { type: "string" },
  "accept-rollback": { type: "boolean" },
  "only_for_testing-simulated-root": { type: "string" },
  "only_for_testing-simulated-platform": { type: "string" },
  tpm: { type: "string" },
  "only_for_testing-simulated-evidence": { type: "string" },
  "skip-if-already-provisioned": { type: "boolean" },
  "collateral-bundle": { type: "string", multiple: true },
  "enrol-node-key": { type: "string", multiple: true },
  name: { type: "string", multiple: true },
  help: { type: "boolean" },
} as const satisfies ParseArgsOptionsConfig;

function parseArguments(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
  } catch (cause) {
    throw wrongUse(cause instanceof Error ? cause.message : "the options cannot be read"); // names the option
  }
}

const wrongUse = (message: string): CasError => new CasError("CONFIGURATION", message, { remedy: "Run with --help." });

export interface ProcessOptions extends CasOptions {
  readonly statusFile: string | undefined;
  readonly stopAfterMs: number | undefined;
}

/** Reads the options of the process and the files that they name. Throws CasError CONFIGURATION. */
export function readOptions(argv: readonly string[]): ProcessOptions | "help" {
  const { values, positionals } = parseArguments(argv);
  const isProvisioning = positionals.length === 1 && positionals[0] === "provision";
  if (positionals.length > 0 && !isProvisioning) throw wrongUse(`${JSON.stringify(positionals[0])} is not expected`);
  if (isProvisioning && values["owner-config"] === undefined) throw wrongUse("provision needs --owner-config FILE");
  if (values.help) return "help";
  const file = values.config === undefined ? undefined : parseAvailabilityConfig(readText(values.config), values.config);
  const databasePath = file?.databasePath ?? (values.state === undefined ? undefined : join(values.state, "cas.db"));
  if (databasePath === undefined) throw wrongUse("neither --config nor --state was given");
  const listen = (text: string | undefined, fallback: string) => parseListenAddress(text ?? fallback);
  const platformKeys = values["platform-key"] ?? [join(values.state ?? "/var/lib/vouchsafe", "platform.key")];
  const owner = values["owner-identity"] === undefined ? undefined : readCertificate(values["owner-identity"]);
  const ownerConfig = values["owner-config"] === undefined ? undefined : readText(values["owner-config"]);
  const config = ownerConfig ?? (values["self-provision"] === true ? "" : undefined);
  return {
    statusFile: values["status-file"],
    stopAfterMs: readSeconds(values["stop-after"]),
    trustAnchors: trustAnchors(values["only_for_testing-simulated-root"], values["only_for_testing-simulated-platform"]),
    ownPlatform: findOwnPlatform({
      tpm: values.tpm === undefined ? undefined : tpmAddress(values.tpm),
      simulated: simulatedEvidence(values["only_for_testing-simulated-evidence"], values["only_for_testing-simulated-platform"]),
    }),
    acceptRollback: values["accept-rollback"] === true,
    databasePath,
    platformKeyPath: choosePlatformKey(keyStorePath(databasePath), platformKeys, CAS_SOFTWARE.securityVersion),
    anchorPath: values.anchor,
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
    nodeKeys: (values["enrol-node-key"] ?? []).map(readPublicKey),
    altNames: values.name ?? [],
  };
}

function withBundles(options: CollateralOptions, files: readonly string[]): CollateralOptions {
  return { ...options, sources: [...files.map(bundleFileSource), ...options.sources] };
}

function trustAnchors(simulatedRootFile: string | undefined, simulatedPlatform: string | undefined): TrustAnchors {
  const simulated = [
    ...(simulatedRootFile === undefined ? [] : [new X509Certificate(readText(simulatedRootFile)).raw]),
    ...(simulatedPlatform === undefined ? [] : [openDevelopmentPlatform(simulatedPlatform, new Date()).root]),
  ];
  return simulated.length === 0 ? VENDOR_TRUST_ANCHORS : { ...VENDOR_TRUST_ANCHORS, simulated };
}

const STOP_AFTER_MAX_SECONDS = 86_400;

function readSeconds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const seconds = /^[1-9][0-9]{0,5}$/.test(text) ? Number(text) : Number.NaN;
  if (seconds <= STOP_AFTER_MAX_SECONDS) return seconds * 1000;
  throw wrongUse(`--stop-after does not take ${JSON.stringify(text)}: expected seconds, at most ${STOP_AFTER_MAX_SECONDS}`);
}

function tpmAddress(text: string): TpmAddress {
  const address = parseTpmAddress(text);
  if (address !== undefined) return address;
  throw wrongUse(`--tpm is ${JSON.stringify(text)}; expected device:PATH, unix:PATH or tcp:HOST:PORT`);
}

function simulatedEvidence(word: string | undefined, directory: string | undefined): OwnPlatformOptions["simulated"] {
  if (word === undefined) return undefined;
  const kind = SIMULATED_KINDS.find((each) => each === word);
  if (kind === undefined)
    throw wrongUse(`--only_for_testing-simulated-evidence is ${JSON.stringify(word)}; expected ${SIMULATED_KINDS.join(", ")}`);
  if (directory === undefined) throw wrongUse("--only_for_testing-simulated-evidence needs --only_for_testing-simulated-platform DIR");
  return { directory, kind };
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new CasError("CONFIGURATION", `${path} cannot be read: ${cause instanceof Error ? cause.message : "unknown reason"}`, { cause });
  }
}

function readPublicKey(path: string): KeyObject {
  try {
    return createPublicKey(readText(path));
  } catch (cause) {
    if (cause instanceof CasError) throw cause;
    throw new CasError("CONFIGURATION", `${path} holds no PEM public key`, { cause });
  }
}

function readCertificate(path: string): { readonly keyHash: string; readonly pem: string } {
  const pem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(readText(path))?.[0];
  if (pem === undefined) throw new CasError("CONFIGURATION", `${path} holds no PEM certificate`);
  return { keyHash: keyHashOf(new X509Certificate(pem).publicKey), pem };
}
