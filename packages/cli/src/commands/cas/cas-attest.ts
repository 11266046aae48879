import { readFile } from "node:fs/promises";
import type { Claims } from "@vouchsafe/attestation";
import {
  CasAttestation,
  type CasClient,
  type CasStatement,
  type CasVerdict,
  describeCasClaims,
  describeMissingEvidence,
  type OpenCredential,
  requestCasStatement,
  type TpmCredential,
  type VerifiedCasStatement,
  verifyCasStatement,
} from "@vouchsafe/protocol";
import { rememberCas } from "../../cas-config/cas-config-file.ts";
import { reportCasFailure } from "../../cas-config/cas-failure.ts";
import { withClient } from "../../cas-config/cas-session.ts";
import { CliError } from "../../cli-error.ts";
import { givenValue, type ParsedOptions } from "../../command-spec.ts";
import { usage } from "../../parse-options.ts";
import { ExitCode, type Shell } from "../../shell.ts";
import { evidenceRefusal, judgeWithCollateral } from "./attest-evidence.ts";
import { type AttestRules, attestRules, readTerms } from "./attest-rules.ts";

/** `cas attest ADDRESS [MEASUREMENT]`: verifies who and what a CAS is and remembers it; the first one becomes the default. */
export async function casAttest(options: ParsedOptions, shell: Shell): Promise<number> {
  const [address = "", measurement] = options.operands;
  const rules = attestRules(options, measurement);
  const report = givenValue(options, "offline-report");
  try {
    const { statement, identity, version, claims } =
      report === undefined ? await attestOnline(address, rules, shell) : await attestOffline(report, rules, options, shell);
    const [host = address] = address.replace(/^https:\/\//, "").split(/[:/]/);
    await rememberCas(shell, givenValue(options, "name") ?? host, {
      address: address.replace(/^https:\/\//, "").replace(/\/$/, ""),
      cas_key: identity.casKeyHash,
      cas_software_key: identity.softwareKeyHash,
      chain: [...identity.chain],
      session_encryption_key: statement.sessionEncryptionKey,
      attested_at: new Date().toISOString(),
      ...(claims === undefined
        ? {}
        : {
            evidence: { kind: claims.kind, code_identity: claims.codeIdentity, platform: claims.platformId },
            terms: await readTerms(rules, shell),
          }),
    });
    if (claims !== undefined) shell.note(`notice: ${describeCasClaims(claims)}`);
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
  const claims = await accept(attested, rules, { openCredential: undefined, now: time }, shell);
  return { ...attested, claims, version: attested.statement.version };
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

/** A CAS that is accepted; `claims` are what its evidence proves, undefined where nothing was judged. */
export interface AttestedCas extends VerifiedCasStatement {
  readonly claims: Claims | undefined;
}

/** Asks a CAS for its statement and evidence with a fresh nonce, and judges both. Throws CliError E-CAS-ATTEST, ProtocolError. */
export async function attestCas(client: CasClient, rules: AttestRules, shell: Pick<Shell, "note" | "directory">): Promise<AttestedCas> {
  const attested = await requestCasStatement(client, rules, new Date());
  const now = new Date(); // after the answer: what came along may have been made for it
  const openCredential = (credential: TpmCredential) => client.openCredential(credential);
  return { ...attested, claims: await accept(attested, rules, { openCredential, now }, shell) };
}

interface Conversation {
  readonly openCredential: OpenCredential | undefined;
  readonly now: Date;
}

/** Compares what a CAS says and proves with what this client accepts; whatever is accepted only on request is warned about. Throws E-CAS-ATTEST. */
async function accept(
  attested: VerifiedCasStatement,
  rules: AttestRules,
  { openCredential, now }: Conversation,
  shell: Pick<Shell, "note" | "directory">,
): Promise<Claims | undefined> {
  const claims = rules.trustsAny
    ? acceptByKey(attested, rules, shell)
    : await acceptEvidence(attested, rules, { openCredential, now }, shell);
  acceptStatement(attested, rules, shell);
  return claims;
}

async function acceptEvidence(
  attested: VerifiedCasStatement,
  rules: AttestRules,
  { openCredential, now }: Conversation,
  shell: Pick<Shell, "note" | "directory">,
): Promise<Claims> {
  if (attested.evidence === null) {
    throw refused(
      describeMissingEvidence(attested.evidenceProblem),
      "If you operate it yourself, accept it by its key: -c KEY_HASH --only_for_testing-trust-any --only_for_testing-debug.",
    );
  }
  const place = { bundle: rules.trust.collateral, directory: shell.directory };
  const verdict = await judgeWithCollateral(attested, await readTerms(rules, shell), openCredential, place, now);
  if (verdict.kind !== "proven") throw refusal(verdict);
  for (const warning of verdict.warnings) shell.note(warning);
  return verdict.claims;
}

/** With every mismatch, and the switches that would accept them (C-71). */
function refusal(verdict: Exclude<CasVerdict, { kind: "proven" }>): CliError {
  if (verdict.kind === "unproven") return refused(describeMissingEvidence(verdict.problem));
  return evidenceRefusal(verdict);
}

/** Nothing but its key tells who this CAS is. */
function acceptByKey({ evidence }: VerifiedCasStatement, rules: AttestRules, { note }: Pick<Shell, "note">): undefined {
  if (rules.casKeyHash === undefined)
    throw refused("nothing proves who this CAS is", "Give its key hash with -c; the CAS prints it at its start.");
  const reason = evidence === null ? "the CAS gives no evidence" : "any evidence is accepted";
  for (const option of rules.aboutEvidence) note(`warning: --${option} has no effect: ${reason}`);
  if (evidence === null) note("warning: no TEE protects this CAS: the root user of its machine can read what it keeps");
  else note(`warning: the evidence of this CAS, of kind ${evidence.kind}, is not judged: nothing is known of what runs there`);
  return undefined;
}

function acceptStatement({ statement }: VerifiedCasStatement, rules: AttestRules, { note }: Pick<Shell, "note">): void {
  if (statement.state === "unprovisioned") {
    if (!rules.allowsUnprovisioned) {
      throw refused(
        "expected a provisioned CAS, found one without owner",
        "Provision it with: vouchsafe cas provision. For tests: --only_for_testing_allow-unprovisioned-cas.",
      );
    }
    note("warning: this CAS has no owner yet: whoever has its token can become it");
  }
  for (const warning of statementWarnings(statement)) note(warning);
  if (!statement.databaseKeyInjected) return;
  if (!rules.allowsOwnerSecretAccess) {
    throw refused(
      "expected a database key that nobody knows, found one that the owner brought: the owner can read all secrets",
      "Accept that with --allow-cas-owner-secret-access.",
    );
  }
  note("warning: the owner of this CAS can read all secrets");
}

/** What a CAS says of itself that whoever accepts it should know. */
export const statementWarnings = ({ developmentRoot, selfProvisioned }: CasStatement): readonly string[] => [
  ...(developmentRoot ? ["warning: DEVELOPMENT ONLY: this CAS believes simulated evidence where a policy names it"] : []),
  ...(selfProvisioned ? ["warning: this CAS provisioned itself: its operator can replace its configuration"] : []),
];

const portOf = (address: string): string => /:(\d+)\/?$/.exec(address)?.[1] ?? "8081";

const refused = (message: string, remedy?: string): CliError =>
  new CliError("E-CAS-ATTEST", message, remedy === undefined ? {} : { remedy });
