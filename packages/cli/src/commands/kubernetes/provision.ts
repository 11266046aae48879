import { resolve } from "node:path";
import {
  assertCasName,
  assertNamespace,
  attestCas,
  type CasName,
  Cluster,
  findCas,
  KubernetesError,
  loadKubeconfig,
  untilHealthy,
} from "@vouchsafe/kubernetes";
import { CAS_CLIENT_PORT } from "@vouchsafe/protocol";
import { CliError } from "../../cli-error.ts";
import { givenValue, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { renderCommandHelp } from "../../help.ts";
import { parseOptions } from "../../parse-options.ts";
import { ExitCode, type Shell } from "../../shell.ts";
import { VERSION } from "../../version.ts";
import { findKnown, noteAttested, rememberAttested } from "./known-cas.ts";
import { PROVISION, PROVISION_OPTIONS } from "./kubernetes-spec.ts";
import {
  localBackup,
  missing,
  postprovision,
  preprovision,
  READ_TIMEOUT_MS,
  recover,
  takeOwnership,
  upgrade,
} from "./provision-actions.ts";
import { type ProvisionTerms, provisionTerms } from "./provision-terms.ts";

/** Each says what to do; two of them contradict each other. */
const ACTIONS = [
  ...["is-provisioned", "print-public-keys", "verify", "upgrade", "preprovision-only", "postprovision-only"],
  ...["local-backup", "cas-database-recovery"],
];

const PORT_MAX = 65_535;
/** They change nothing (CL-47). */
const READING = ["is-provisioned", "print-public-keys", "verify"];

/** `kubectl provision cas [NAME]` (cli.md section 9). Everything but the result goes to standard error (CL-45). */
export async function provision(argv: readonly string[], shell: Shell): Promise<number> {
  try {
    return await carryOut(argv, shell);
  } catch (error) {
    const isNameOfCas = error instanceof KubernetesError && error.code === "E-CAS-NAME";
    if (isNameOfCas || (error instanceof CliError && error.isUsage)) shell.note(renderCommandHelp("kubectl", PROVISION));
    throw error;
  }
}

async function carryOut(argv: readonly string[], shell: Shell): Promise<number> {
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
  assertCombination(options);
  const named: CasName = { name, namespace: chooseNamespace(options, third, shell) };
  const port = givenPort(options);
  const cluster = new Cluster(loadKubeconfig(shell.environment));
  await assertNamespace(cluster, named.namespace);
  const cas: CasName = { ...named, ...(await placeOf(cluster, named, givenValue(options, "cas-address"), port)) };
  const home = { ...shell, casConfig: targetDirectory(options, shell) };
  if (READING.some((action) => hasFlag(options, action))) return read(cluster, cas, options, home);
  const version = givenValue(options, "upgrade");
  if (version !== undefined) return upgrade(cluster, cas, version, options, home);
  if (hasFlag(options, "local-backup")) return localBackup(cluster, cas, home);
  const recovery = givenValue(options, "cas-database-recovery");
  if (recovery !== undefined) return recover(cluster, cas, recovery, options, home);
  if (hasFlag(options, "preprovision-only")) return preprovision(cluster, cas, options, home);
  if (hasFlag(options, "postprovision-only")) return postprovision(cluster, cas, options, home);
  return takeOwnership(cluster, cas, options, home);
}

/** What cannot be meant together: before anything is touched. */
function assertCombination(options: ParsedOptions): void {
  const isGiven = (option: string) => hasFlag(options, option) || givenValue(options, option) !== undefined;
  const [first, second] = ACTIONS.filter(isGiven);
  const conflict = (a: string, b: string) =>
    new CliError("E-OPTION-VALUE", `--${a} and --${b} cannot be given together`, { remedy: "Leave one of them out.", isUsage: true });
  if (first !== undefined && second !== undefined) throw conflict(first, second);
  for (const [a, b] of [
    ["wait", "no-backup"],
    ["verify-image-signatures", "no-image-signature-check"],
  ] as const)
    if (isGiven(a) && isGiven(b)) throw conflict(a, b);
  for (const option of ["cas", "vault-client"]) {
    if (isGiven(option)) throw new CliError("E-OPTION-VALUE", `--${option} is for the service vault only`, { isUsage: true });
  }
  for (const [option, needs] of [
    ["force", "upgrade"],
    ["postprovision-owner-identity", "postprovision-only"],
  ] as const) {
    if (isGiven(option) && !isGiven(needs)) throw new CliError("E-OPTION-VALUE", `--${option} is for --${needs} only`, { isUsage: true });
  }
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

function givenPort(options: ParsedOptions): number | undefined {
  const port = givenValue(options, "cas-client-port");
  if (port === undefined) return undefined;
  if (/^[1-9][0-9]{0,4}$/.test(port) && Number(port) <= PORT_MAX) return Number(port);
  throw new CliError("E-OPTION-VALUE", `--cas-client-port does not take ${JSON.stringify(port)}`, { isUsage: true });
}

/** Where the CAS is asked: at the address that is given, by default at the port of its resource; else its pod, through the cluster's API (CL-52). */
async function placeOf(cluster: Cluster, cas: CasName, host: string | undefined, port: number | undefined): Promise<Partial<CasName>> {
  if (host === undefined) return { podPort: port };
  return { address: { host, port: port ?? (await findCas(cluster, cas))?.spec.service.clientPort ?? CAS_CLIENT_PORT } };
}

function targetDirectory(options: ParsedOptions, { casConfig, environment, directory }: Shell): string {
  const given = givenValue(options, "target") ?? environment["TARGET_DIR"];
  if (given === undefined || given === "") return casConfig;
  return resolve(directory, given);
}

/** What this client accepts of the CAS that it asks. */
interface Question extends ProvisionTerms {
  readonly cas: CasName;
  readonly pin: string | undefined;
}

async function read(cluster: Cluster, cas: CasName, options: ParsedOptions, shell: Shell): Promise<number> {
  const known = await findKnown(cas, shell);
  const question: Question = {
    cas,
    pin: givenValue(options, "cas-key-hash") ?? known?.cas_key,
    ...(await provisionTerms(options, known, shell)),
  };
  if (hasFlag(options, "is-provisioned")) return isProvisioned(cluster, question, shell);
  if (hasFlag(options, "print-public-keys")) return printPublicKeys(cluster, question, shell);
  return verify(cluster, question, shell);
}

/** CL-47: changes nothing. */
async function isProvisioned(cluster: Cluster, question: Question, shell: Shell): Promise<number> {
  const { cas } = question;
  const no = (reason: string): number => {
    shell.out("NO");
    shell.note(reason);
    return ExitCode.failed;
  };
  if ((await findCas(cluster, cas)) === undefined) return no(`there is no CAS ${cas.name} in the namespace ${cas.namespace}`);
  try {
    const attested = await attestCas(cluster, question);
    noteAttested(attested, shell);
    if (attested.statement.state === "unprovisioned")
      return no(`the CAS ${cas.name} has no owner; run: kubectl provision cas ${cas.name} -n ${cas.namespace}`);
  } catch (error) {
    return no(describeFailure(error));
  }
  shell.out("YES");
  return ExitCode.ok;
}

function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error instanceof KubernetesError && error.remedy !== undefined ? `${error.message}\nhelp: ${error.remedy}` : error.message;
}

/** CL-48 to CL-50: exactly four assignments, or nothing at all. */
async function printPublicKeys(cluster: Cluster, question: Question, shell: Shell): Promise<number> {
  const { cas } = question;
  if ((await findCas(cluster, cas)) === undefined) throw missing(cas);
  const attested = await attestCas(cluster, question);
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
  noteAttested(attested, shell);
  await rememberAttested(cas, attested, question, shell);
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

async function verify(cluster: Cluster, question: Question, shell: Shell): Promise<number> {
  const { cas } = question;
  if ((await findCas(cluster, cas)) === undefined) throw missing(cas);
  const attested = await attestCas(cluster, question);
  const { statement, keyHash } = attested;
  noteAttested(attested, shell);
  await untilHealthy(cluster, cas, READ_TIMEOUT_MS, shell.signal);
  shell.out(
    `CAS ${cas.name} in ${cas.namespace} is set up: key ${keyHash}, version ${statement.version}, owner ${statement.ownerKeyHash ?? "none"}`,
  );
  return ExitCode.ok;
}
