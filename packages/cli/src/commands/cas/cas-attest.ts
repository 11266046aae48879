import { readFile } from "node:fs/promises";
import { CasAttestation, type CasClient, requestCasStatement, type VerifiedCasStatement, verifyCasStatement } from "@vouchsafe/protocol";
import { rememberCas } from "../../cas-config/cas-config-file.ts";
import { reportCasFailure } from "../../cas-config/cas-failure.ts";
import { withClient } from "../../cas-config/cas-session.ts";
import { CliError } from "../../cli-error.ts";
import { givenValue, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { usage } from "../../parse-options.ts";
import { ExitCode, type Shell } from "../../shell.ts";

/** What the client accepts besides attested hardware. Every one of them prints a warning (C-68). */
export interface AttestRules {
  readonly casKeyHash: string | undefined;
  readonly softwareKeyHash: string | undefined;
  /** No TEE protects the CAS; only its key is known. */
  readonly allowsNoHardware: boolean;
  readonly allowsUnprovisioned: boolean;
  readonly allowsOwnerSecretAccess: boolean;
  /** Options that tolerate something of evidence, where there is none. */
  readonly withoutEffect: readonly string[];
}

/** `cas attest ADDRESS`: verifies who a CAS is and remembers it; the first one becomes the default. */
export async function casAttest(options: ParsedOptions, shell: Shell): Promise<number> {
  const [address = ""] = options.operands;
  const rules = attestRules(options);
  const report = givenValue(options, "offline-report");
  try {
    const { statement, identity, version } =
      report === undefined ? await attestOnline(address, rules, shell) : await attestOffline(report, rules, options, shell);
    const [host = address] = address.replace(/^https:\/\//, "").split(/[:/]/);
    await rememberCas(shell, givenValue(options, "name") ?? host, {
      address: address.replace(/^https:\/\//, "").replace(/\/$/, ""),
      cas_key: identity.casKeyHash,
      cas_software_key: identity.softwareKeyHash,
      chain: [...identity.chain],
      session_encryption_key: statement.sessionEncryptionKey,
      attested_at: new Date().toISOString(),
    });
    shell.out(`CAS ${host} at https://${host}:${portOf(address)}/ is trustworthy`);
    shell.out(`Version of attested CAS: ${version}`);
    return ExitCode.ok;
  } catch (error) {
    return reportCasFailure(error, `attestation of CAS ${address} failed`, shell);
  }
}

function attestOnline(address: string, rules: AttestRules, shell: Shell) {
  return withClient(address, rules, undefined, async (client) => {
    const attested = await attestCas(client, rules, shell);
    const { version, built } = await client.version();
    return { ...attested, version: `${version} (${built})` };
  });
}

/** C-64: judges what `GET /v1/attest?nonce=N` answered to somebody, as of a time; nothing is connected to. */
async function attestOffline(file: string, rules: AttestRules, options: ParsedOptions, shell: Shell) {
  const nonce = givenValue(options, "nonce");
  if (nonce === undefined) throw usage("E-OPTION-MISSING", "--offline-report needs --nonce N, with which the report was asked for");
  const given = givenValue(options, "verification-time");
  const time = given === undefined ? new Date() : new Date(given);
  if (Number.isNaN(time.getTime())) throw usage("E-OPTION-VALUE", `--verification-time ${JSON.stringify(given)} is no date`);
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new CliError("E-FILE", `${file} cannot be read`, { cause });
  });
  const attested = verifyCasStatement(readReport(file, text), nonce, rules, time);
  accept(attested, rules, shell);
  return { ...attested, version: attested.statement.version };
}

function readReport(file: string, text: string): CasAttestation {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // told below
  }
  const parsed = CasAttestation.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new CliError("E-CAS-ATTEST", `${file} is no report of a CAS`, { remedy: "Save the answer to GET /v1/attest?nonce=N." });
}

/** Asks a CAS for its statement with a fresh nonce and verifies it. Throws CliError E-CAS-ATTEST, ProtocolError. */
export async function attestCas(client: CasClient, rules: AttestRules, shell: Pick<Shell, "note">): Promise<VerifiedCasStatement> {
  const attested = await requestCasStatement(client, rules, new Date());
  accept(attested, rules, shell);
  return attested;
}

/** Compares what a CAS says with what this client accepts; whatever is accepted only on request is warned about. Throws E-CAS-ATTEST. */
function accept({ statement, evidence }: VerifiedCasStatement, rules: AttestRules, { note }: Pick<Shell, "note">): void {
  if (evidence !== null)
    throw refused(`evidence of kind ${evidence.kind} about a CAS is not understood by this program`, "Update this program.");
  if (!rules.allowsNoHardware) {
    throw refused(
      "expected evidence of hardware, found none: the CAS is not protected by it",
      "If you operate it yourself, accept it by its key: -c KEY_HASH --only_for_testing-trust-any --only_for_testing-debug.",
    );
  }
  if (rules.casKeyHash === undefined)
    throw refused("nothing proves who this CAS is", "Give its key hash with -c; the CAS prints it at its start.");
  for (const option of rules.withoutEffect) note(`warning: --${option} has no effect: the CAS gives no evidence`);
  note("warning: no TEE protects this CAS: the root user of its machine can read what it keeps");
  if (statement.state === "unprovisioned") {
    if (!rules.allowsUnprovisioned) {
      throw refused(
        "expected a provisioned CAS, found one without owner",
        "Provision it with: vouchsafe cas provision. For tests: --only_for_testing_allow-unprovisioned-cas.",
      );
    }
    note("warning: this CAS has no owner yet: whoever has its token can become it");
  }
  if (statement.developmentRoot) note("warning: DEVELOPMENT ONLY: this CAS believes simulated evidence where a policy names it");
  if (statement.selfProvisioned) note("warning: this CAS provisioned itself: its operator can replace its configuration");
  if (!statement.databaseKeyInjected) return;
  if (!rules.allowsOwnerSecretAccess) {
    throw refused(
      "expected a database key that nobody knows, found one that the owner brought: the owner can read all secrets",
      "Accept that with --allow-cas-owner-secret-access.",
    );
  }
  note("warning: the owner of this CAS can read all secrets");
}

/** Options that ask more of evidence than its default, which no CAS of this release gives: refused by name, not ignored. */
const EVIDENCE_DEMANDS = ["mrenclave", "mrsigner", "isvprodid", "isvsvn"] as const;
/** Options that ask less of evidence: said to have no effect. */
const EVIDENCE_TOLERANCES = ["configuration-needed", "out-of-date", "hardening-needed", "only_for_testing-ignore-signer"] as const;

export function attestRules(options: ParsedOptions): AttestRules {
  const demand = EVIDENCE_DEMANDS.find((name) => givenValue(options, name) !== undefined);
  if (demand !== undefined) {
    const remedy = "Pin the key of the CAS with -c, and its software with -s.";
    throw usage("E-OPTION-UNSUPPORTED", `--${demand} is about evidence, and a CAS of this release gives none about itself`, remedy);
  }
  const [trustsAny, allowsDebug] = [hasFlag(options, "only_for_testing-trust-any"), hasFlag(options, "only_for_testing-debug")];
  if (trustsAny !== allowsDebug) {
    const [given, missing] = trustsAny ? ["trust-any", "debug"] : ["debug", "trust-any"];
    throw usage("E-OPTION-MISSING", `--only_for_testing-${given} needs --only_for_testing-${missing}`);
  }
  return {
    withoutEffect: EVIDENCE_TOLERANCES.filter((name) => hasFlag(options, name)),
    casKeyHash: givenValue(options, "cas-key-hash"),
    softwareKeyHash: givenValue(options, "cas-software-key-hash"),
    allowsNoHardware: trustsAny,
    allowsUnprovisioned: hasFlag(options, "only_for_testing_allow-unprovisioned-cas"),
    allowsOwnerSecretAccess: hasFlag(options, "allow-cas-owner-secret-access"),
  };
}

const portOf = (address: string): string => /:(\d+)\/?$/.exec(address)?.[1] ?? "8081";

const refused = (message: string, remedy?: string): CliError =>
  new CliError("E-CAS-ATTEST", message, remedy === undefined ? {} : { remedy });
