import { type CasClient, requestCasStatement, type VerifiedCasStatement } from "@vouchsafe/protocol";
import { rememberCas } from "../../cas-config/cas-config-file.ts";
import { reportCasFailure } from "../../cas-config/cas-failure.ts";
import { withClient } from "../../cas-config/cas-session.ts";
import { CliError } from "../../cli-error.ts";
import { givenValue, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";

/** What the client accepts besides attested hardware. Every one of them prints a warning (C-68). */
export interface AttestRules {
  readonly casKeyHash: string | undefined;
  readonly softwareKeyHash: string | undefined;
  /** No TEE protects the CAS; only its key is known. */
  readonly allowsNoHardware: boolean;
  readonly allowsUnprovisioned: boolean;
  readonly allowsOwnerSecretAccess: boolean;
}

/** `cas attest ADDRESS`: verifies who a CAS is and remembers it; the first one becomes the default. */
export async function casAttest(options: ParsedOptions, shell: Shell): Promise<number> {
  const [address = ""] = options.operands;
  const rules = attestRules(options);
  try {
    const { statement, identity, version } = await withClient(address, rules, undefined, async (client) => ({
      ...(await attestCas(client, rules, shell)),
      version: await client.version(),
    }));
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
    shell.out(`Version of attested CAS: ${version.version} (${version.built})`);
    return ExitCode.ok;
  } catch (error) {
    return reportCasFailure(error, `attestation of CAS ${address} failed`, shell);
  }
}

/** Asks a CAS for its statement with a fresh nonce and verifies it. Throws CliError E-CAS-ATTEST, ProtocolError. */
export async function attestCas(client: CasClient, rules: AttestRules, { note }: Pick<Shell, "note">): Promise<VerifiedCasStatement> {
  const attested = await requestCasStatement(client, rules, new Date());
  const { statement, evidence } = attested;
  if (evidence !== null)
    throw refused(`evidence of kind ${evidence.kind} about a CAS is not understood by this program`, "Update this program.");
  if (!rules.allowsNoHardware) {
    throw refused(
      "the CAS gave no evidence: hardware does not protect it",
      "If you operate it yourself, accept it by its key: -c KEY_HASH --only_for_testing-trust-any --only_for_testing-debug.",
    );
  }
  if (rules.casKeyHash === undefined)
    throw refused("nothing proves who this CAS is", "Give its key hash with -c; the CAS prints it at its start.");
  note("warning: no TEE protects this CAS: the root user of its machine can read what it keeps");
  if (statement.state === "unprovisioned" && !rules.allowsUnprovisioned) {
    throw refused("the CAS is not provisioned yet: its keys are not final", "Provision it with: vouchsafe cas provision.");
  }
  if (statement.developmentRoot) note("warning: DEVELOPMENT ONLY: this CAS believes simulated evidence where a policy names it");
  if (statement.selfProvisioned) note("warning: this CAS provisioned itself: its operator can replace its configuration");
  if (statement.databaseKeyInjected && !rules.allowsOwnerSecretAccess) {
    throw refused("the owner of this CAS can read all secrets", "Accept that with --allow-cas-owner-secret-access.");
  }
  return attested;
}

export function attestRules(options: ParsedOptions): AttestRules {
  return {
    casKeyHash: givenValue(options, "cas-key-hash"),
    softwareKeyHash: givenValue(options, "cas-software-key-hash"),
    allowsNoHardware: hasFlag(options, "only_for_testing-trust-any") && hasFlag(options, "only_for_testing-debug"),
    allowsUnprovisioned: hasFlag(options, "only_for_testing_allow-unprovisioned-cas"),
    allowsOwnerSecretAccess: hasFlag(options, "allow-cas-owner-secret-access"),
  };
}

const portOf = (address: string): string => /:(\d+)\/?$/.exec(address)?.[1] ?? "8081";

const refused = (message: string, remedy?: string): CliError =>
  new CliError("E-CAS-ATTEST", message, remedy === undefined ? {} : { remedy });
