import { casKeyHashOfLog, findLogKeyEvidence, type LogKeyEvidence, namedLogKeys, verifyAuditLog } from "@vouchsafe/cas";
import { describeCasClaims, ProtocolError } from "@vouchsafe/protocol";
import { findKnownCas, openCasConfig } from "../../cas-config/cas-config-file.ts";
import { clientIdentity } from "../../cas-config/cas-session.ts";
import { CliError } from "../../cli-error.ts";
import { givenValue, type ParsedOptions } from "../../command-spec.ts";
import { usage } from "../../parse-options.ts";
import type { Shell } from "../../shell.ts";
import { judgeLogKeyEvidence } from "./attest-evidence.ts";
import { type AttestRules, attestRules, readTerms } from "./attest-rules.ts";
import { askCas, readLog, reportVerdict, rotation } from "./cas-audit.ts";

/**
 * `cas attest-audit-log FILE`: verifies a log whose CAS was never attested, by the evidence over its key that stands in it (C-87). With `--cas` also
 * against what that CAS says now; without, a roll-back cannot be excluded. Exit codes of cas.md §15.
 */
export async function casAttestAuditLog(options: ParsedOptions, shell: Shell): Promise<number> {
  const [file = ""] = options.operands;
  const text = await readLog(file);
  const rules = attestRules(options);
  const given = givenValue(options, "verification-time");
  const now = given === undefined ? new Date() : new Date(given);
  if (Number.isNaN(now.getTime())) throw usage("E-OPTION-VALUE", `--verification-time ${JSON.stringify(given)} is no date`);
  const { signingKeys, problems } = await judgeAll(findLogKeyEvidence(text), rules, now, shell);
  const named = namedLogKeys(text);
  const unproven = named
    .filter(({ signingKey }) => !signingKeys.has(signingKey))
    .map(({ verifierKey }) => `no accepted evidence covers ${verifierKey}`);
  const foreign = [...problems, ...unproven, ...(named.length === 0 ? ["the log does not name its key"] : [])];
  const verifierKeys = named.map(({ verifierKey }) => verifierKey);
  const asked = await position(options, shell);
  const casKeyHash = rules.casKeyHash ?? asked?.casKeyHash ?? verifierKeys.map(casKeyHashOfLog).find((hash) => hash !== undefined) ?? "";
  const verdict = verifyAuditLog(text, { casKeyHash, verifierKeys, checkpoints: asked?.checkpoints, ...rotation(options) });
  if (foreign.length === 0) shell.note(`${file}: log of the CAS with the key ${casKeyHash}`);
  const exit = foreign.length > 0 && verdict.exit < 20 ? 19 : verdict.exit;
  const judged = { ...verdict, exit, reasons: [...foreign, ...verdict.reasons] };
  return reportVerdict(file, judged, options, shell);
}

/** Every piece of evidence in the log has to be acceptable: a key that other code held as well may have signed anything. */
async function judgeAll(found: readonly LogKeyEvidence[], rules: AttestRules, now: Date, shell: Shell) {
  const terms = await readTerms(rules, shell);
  const place = { bundle: rules.trust.collateral, directory: shell.directory };
  const signingKeys = new Set<string>();
  const problems: string[] = [];
  for (const entry of found) {
    try {
      const { claims, warnings } = await judgeLogKeyEvidence(entry, terms, place, now);
      for (const warning of warnings) shell.note(warning);
      shell.note(`entry ${entry.sequence} of ${entry.time}: ${describeCasClaims(claims)}`);
      signingKeys.add(entry.signingKey);
    } catch (error) {
      const isRefusal = error instanceof ProtocolError || (error instanceof CliError && error.code === "E-CAS-ATTEST");
      if (!isRefusal) throw error;
      const causes = error instanceof CliError ? error.causes : [];
      const help = error.remedy === undefined ? [] : [`help: ${error.remedy}`];
      problems.push(...[error.message, ...causes].map((reason) => `entry ${entry.sequence}: ${reason}`), ...help);
    }
  }
  if (found.length === 0) problems.push("the log holds no evidence over its key, so nothing in it proves which CAS wrote it");
  return { signingKeys, problems };
}

/** Checkpoints of the CAS that `--cas` names; undefined without, or where it does not answer. */
async function position(options: ParsedOptions, shell: Shell) {
  const name = givenValue(options, "cas");
  if (name === undefined) return undefined;
  const config = await openCasConfig(shell);
  const { cas } = findKnownCas(config, name);
  const identity = await clientIdentity(givenValue(options, "identity"), config);
  const asked = await askCas(cas, givenValue(options, "cas-key-hash"), identity, shell);
  return asked && { casKeyHash: cas.cas_key, checkpoints: asked.checkpoints };
}
