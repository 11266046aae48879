import { readFile } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import {
  assertCasName,
  assertNamespace,
  attestCas,
  type CasName,
  Cluster,
  findCas,
  loadKubeconfig,
  provisionCas,
  untilHealthy,
} from "@vouchsafe/kubernetes";
import { parseDocument } from "yaml";
import { CliError } from "../../cli-error.ts";
import { obtainClientIdentity } from "../../client-identity.ts";
import { givenValue, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { renderCommandHelp } from "../../help.ts";
import { parseOptions } from "../../parse-options.ts";
import { ExitCode, type Shell } from "../../shell.ts";
import { VERSION } from "../../version.ts";
import { CasRecords } from "./cas-records.ts";
import { PROVISION, PROVISION_OPTIONS } from "./kubernetes-spec.ts";

const PROVISION_TIMEOUT_MS = 180_000;
const READ_TIMEOUT_MS = 60_000;
const UNSUPPORTED = ["upgrade", "local-backup", "cas-database-recovery", "webhook", "preprovision-only", "postprovision-only"];
const DEFAULT_COLLATERAL_KEY = "0".repeat(32);

/** `kubectl provision cas [NAME]` (cli.md section 9). Everything but the result goes to standard error (CL-45). */
export async function provision(argv: readonly string[], shell: Shell): Promise<number> {
  const options = parseOptions(PROVISION_OPTIONS, argv, { maxOperands: 9 });
  if (hasFlag(options, "help")) {
    shell.out(renderCommandHelp("kubectl", PROVISION));
    return ExitCode.ok;
  }
  if (hasFlag(options, "version")) {
    shell.out(VERSION);
    return ExitCode.ok;
  }
  const [service, name = "cas", third, ...more] = options.operands;
  if (service !== "cas") {
    shell.note(renderCommandHelp("kubectl", PROVISION));
    const what = service === undefined ? "no service is named" : `the service ${JSON.stringify(service)} is not supported`;
    throw new CliError("E-SVC-UNSUPPORTED", what, { remedy: "Only cas can be provisioned." });
  }
  if (more.length > 0) throw new CliError("E-ARGUMENT", `${JSON.stringify(more[0])} is one argument too many`, { isUsage: true });
  assertCasName(name);
  const cas: CasName = { name, namespace: chooseNamespace(options, third, shell), address: givenAddress(options) };
  const cluster = new Cluster(loadKubeconfig(shell.environment));
  await assertNamespace(cluster, cas.namespace);
  const home = { ...shell, casConfig: targetDirectory(options, shell) };
  if (hasFlag(options, "is-provisioned")) return isProvisioned(cluster, cas, home);
  if (hasFlag(options, "print-public-keys")) return printPublicKeys(cluster, cas, home);
  const unsupported = UNSUPPORTED.find((option) => hasFlag(options, option) || givenValue(options, option) !== undefined);
  if (unsupported !== undefined) {
    throw new CliError("E-OPTION-VALUE", `--${unsupported} is not supported in this release`, { remedy: "Leave it out." });
  }
  if (hasFlag(options, "verify")) return verify(cluster, cas, home);
  return takeOwnership(cluster, cas, options, home);
}

function chooseNamespace(options: ParsedOptions, third: string | undefined, { environment, note }: Shell): string {
  const given = givenValue(options, "namespace");
  if (given !== undefined) return given;
  if (third !== undefined) {
    note(`warning: ${third} is taken as the namespace; write -n ${third}`);
    return third;
  }
  const variable = environment["NAMESPACE"];
  if (variable === undefined || variable === "") return "default";
  note(`warning: the namespace ${variable} is taken from the variable NAMESPACE`);
  return variable;
}

function givenAddress(options: ParsedOptions): CasName["address"] {
  const host = givenValue(options, "cas-address");
  const port = givenValue(options, "cas-client-port") ?? "8081";
  if (!/^[0-9]{1,5}$/.test(port))
    throw new CliError("E-OPTION-VALUE", `--cas-client-port does not take ${JSON.stringify(port)}`, { isUsage: true });
  return host === undefined ? undefined : { host, port: Number(port) };
}

function targetDirectory(options: ParsedOptions, { casConfig, environment, directory }: Shell): string {
  const given = givenValue(options, "target") ?? environment["TARGET_DIR"];
  if (given === undefined || given === "") return casConfig;
  return isAbsolute(given) ? given : join(directory, given);
}

const qualified = ({ name, namespace }: CasName): string => `${name}.${namespace}`;

/** CL-47: changes nothing. */
async function isProvisioned(cluster: Cluster, cas: CasName, shell: Shell): Promise<number> {
  const no = (reason: string): number => {
    shell.out("NO");
    shell.note(reason);
    return ExitCode.failed;
  };
  if ((await findCas(cluster, cas)) === undefined) return no(`there is no CAS ${cas.name} in the namespace ${cas.namespace}`);
  const records = await CasRecords.open(shell);
  try {
    const { statement } = await attestCas(cluster, cas, (await records.find(qualified(cas)))?.key_hash);
    if (statement.state === "unprovisioned")
      return no(`the CAS ${cas.name} has no owner; run: kubectl provision cas ${cas.name} -n ${cas.namespace}`);
  } catch (error) {
    return no(error instanceof Error ? error.message : String(error));
  }
  shell.out("YES");
  return ExitCode.ok;
}

/** CL-48 to CL-50: exactly four assignments, or nothing at all. */
async function printPublicKeys(cluster: Cluster, cas: CasName, shell: Shell): Promise<number> {
  if ((await findCas(cluster, cas)) === undefined) throw missing(cas);
  const records = await CasRecords.open(shell);
  const attested = await attestCas(cluster, cas, (await records.find(qualified(cas)))?.key_hash);
  const { statement, keyHash, softwareKeyHash } = attested;
  if (statement.state === "unprovisioned") {
    throw new CliError("E-CAS-UNPROVISIONED", `the CAS ${cas.name} has no owner yet, and its keys may still change`, {
      remedy: `Run: kubectl provision cas ${cas.name} -n ${cas.namespace}`,
    });
  }
  const wanted = shell.environment["VERSION"];
  if (wanted !== undefined && wanted !== "" && wanted !== "latest" && wanted !== statement.version) {
    shell.note(`warning: the CAS has version ${statement.version}, VERSION says ${wanted}`);
  }
  if (attested.evidenceKind === undefined) shell.note("warning: no TEE protects this CAS");
  await records.remember(qualified(cas), attested);
  const values = [
    ["CAS_KEY", keyHash],
    ["CAS_SOFTWARE_KEY", softwareKeyHash],
    ["CAS_SESSION_ENCRYPTION_KEY", statement.sessionEncryptionKey],
    ["CAS_CERT", (statement.chain.at(-1) ?? "").trimEnd()],
  ] as const;
  for (const [variable, value] of values) {
    if (/["$`\\#]|: |^-(?!----BEGIN)/.test(value))
      throw new CliError("E-CAS-ATTESTATION", `the CAS gave a ${variable} that no shell could read`);
  }
  shell.out(values.map(([variable, value]) => `export ${variable}="${value}"`).join("\n"));
  return ExitCode.ok;
}

const missing = (cas: CasName): CliError =>
  new CliError("E-CAS-MISSING", `there is no CAS ${cas.name} in the namespace ${cas.namespace}`, {
    remedy: `Create it: kubectl provision cas ${cas.name} -n ${cas.namespace}`,
  });

async function verify(cluster: Cluster, cas: CasName, shell: Shell): Promise<number> {
  if ((await findCas(cluster, cas)) === undefined) throw missing(cas);
  const records = await CasRecords.open(shell);
  const { statement, keyHash } = await attestCas(cluster, cas, (await records.find(qualified(cas)))?.key_hash);
  await untilHealthy(cluster, cas, READ_TIMEOUT_MS, shell.signal);
  shell.out(
    `CAS ${cas.name} in ${cas.namespace} is set up: key ${keyHash}, version ${statement.version}, owner ${statement.ownerKeyHash ?? "none"}`,
  );
  return ExitCode.ok;
}

async function takeOwnership(cluster: Cluster, cas: CasName, options: ParsedOptions, shell: Shell): Promise<number> {
  const records = await CasRecords.open(shell);
  const { keyHash } = await obtainClientIdentity(shell);
  const attested = await provisionCas(cluster, {
    cas,
    spec: await resourceSpec(options, shell),
    owner: { ...(await records.credentials(new Date())), keyHash },
    ownerConfig: await ownerConfig(options, shell),
    pin: (await records.find(qualified(cas)))?.key_hash,
    timeoutMs: PROVISION_TIMEOUT_MS,
    log: shell.note,
    signal: shell.signal,
  });
  await records.remember(qualified(cas), attested);
  await untilHealthy(cluster, cas, READ_TIMEOUT_MS, shell.signal);
  shell.out(`CAS ${cas.name} in ${cas.namespace} is HEALTHY and owned by ${keyHash}; its key is ${attested.keyHash}`);
  return ExitCode.ok;
}

/** Spec of the resource where it is created: the manifest given with -f, else what the options say. */
async function resourceSpec(options: ParsedOptions, shell: Shell): Promise<object> {
  const file = givenValue(options, "filename");
  if (file !== undefined) {
    const document = parseDocument(await readFile(join(shell.directory, file), "utf8"));
    const value: unknown = document.errors.length > 0 ? undefined : document.toJS();
    if (typeof value === "object" && value !== null && "spec" in value && typeof value.spec === "object" && value.spec !== null)
      return value.spec;
    throw new CliError("E-OPTION-VALUE", `${file} is no manifest of a CAS`, { remedy: "It needs apiVersion, kind, metadata and spec." });
  }
  const registry = givenValue(options, "image-registry") ?? shell.environment["IMAGE_REPO"] ?? shell.environment["SCONECTL_REPO"];
  const version = givenValue(options, "set-version") ?? shell.environment["VERSION"] ?? "latest";
  const image =
    givenValue(options, "image-overwrite") ?? (registry === undefined || registry === "" ? undefined : `${registry}/cas:${version}`);
  return { imagePullSecrets: [{ name: "sconeapps" }], ...(image === undefined ? {} : { image }) };
}

async function ownerConfig(options: ParsedOptions, { directory, environment }: Shell): Promise<string> {
  const file = givenValue(options, "owner-config");
  if (file !== undefined) return readFile(isAbsolute(file) ? file : join(directory, file), "utf8");
  const key = givenValue(options, "dcap-api") ?? environment["DCAP_KEY"] ?? DEFAULT_COLLATERAL_KEY;
  if (!/^[0-9a-fA-F]{32}$/.test(key)) throw new CliError("E-OPTION-VALUE", "--dcap-api needs 32 hex digits", { isUsage: true });
  return `[dcap]\nsubscription_key = "${key}"\n`;
}
