import type { CasJudge, CasTerms, CasVerdict } from "@vouchsafe/protocol";
import { CAS_TOLERANCES, CasTerms as Terms } from "@vouchsafe/protocol";
import type { KnownCas } from "../../cas-config/cas-config-file.ts";
import { givenValue, givenValues, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import type { Shell } from "../../shell.ts";
import { judgeWithCollateral } from "../cas/attest-evidence.ts";
import { attestRules, readTerms } from "../cas/attest-rules.ts";
import { collateralKey } from "./owner-config.ts";
import { parseTolerations, type Tolerations } from "./tolerations.ts";

/** What `kubectl provision` accepts of the evidence of a CAS, and why. */
export interface ProvisionTerms {
  readonly terms: CasTerms;
  /** Options or SGX_TOLERATIONS say something of it, or did so before: it is remembered, and written into the resource for the operator. */
  readonly isExplicit: boolean;
  /** Evidence is not looked at. */
  readonly trustsAny: boolean;
  readonly judge: CasJudge;
}

const DEFAULT_TERMS = Terms.parse({ tolerate: [...CAS_TOLERANCES] });
/** Who names one of these wants to see evidence. */
const DEMANDS = ["mrenclave", "mrsigner", "evidence-root", "tpm-endorsement-root", "tpm-endorsement-key"];

/**
 * What options say, else what this client accepted of this CAS before, else the defaults of cli.md section 9. A CAS without evidence is accepted where
 * nothing demands it, and where it never had any: one that gave evidence once has to give it again. Throws usage errors, E-FILE.
 */
export async function provisionTerms(options: ParsedOptions, known: KnownCas | undefined, shell: Shell): Promise<ProvisionTerms> {
  const tolerations = givenTolerations(options, shell);
  const flags = new Map([...options.flags, ...(tolerations?.testing ?? []).map((word) => [word, 1] as const)]);
  const rules = attestRules({ ...options, flags });
  const given = await readTerms(rules, shell);
  const before = known?.terms ?? DEFAULT_TERMS;
  const isGiven = (option: string) => givenValues(options, option).length > 0;
  const demands = DEMANDS.some(isGiven) || hasFlag(options, "require-evidence");
  const isSimulatedRootGiven = isGiven("only_for_testing-simulated-root");
  const { casKeyHash: _, ...kept } = before;
  const terms: CasTerms = {
    ...kept,
    evidence: demands || known?.evidence !== undefined ? "required" : before.evidence,
    ...(isGiven("mrenclave") ? { mrenclave: given.mrenclave } : {}),
    ...(isGiven("mrsigner") ? { mrsigner: given.mrsigner, isvprodid: given.isvprodid } : {}),
    ...(isGiven("isvsvn") ? { isvsvn: given.isvsvn } : {}),
    ...(tolerations === undefined ? {} : { tolerate: [...tolerations.tolerate] }),
    ...(isGiven("evidence-root") ? { roots: given.roots } : {}),
    ...(isGiven("tpm-endorsement-root") ? { tpmEndorsementRoots: given.tpmEndorsementRoots } : {}),
    ...(isGiven("tpm-endorsement-key") ? { tpmEndorsementKeys: given.tpmEndorsementKeys } : {}),
    ownerSecretAccess: given.ownerSecretAccess || before.ownerSecretAccess,
    onlyForTesting: {
      debug: given.onlyForTesting.debug || before.onlyForTesting.debug,
      ignoreSigner: given.onlyForTesting.ignoreSigner || before.onlyForTesting.ignoreSigner,
      simulatedRoot: isSimulatedRootGiven ? given.onlyForTesting.simulatedRoot : before.onlyForTesting.simulatedRoot,
    },
  };
  const { trustsAny } = rules;
  const isExplicit =
    demands ||
    isSimulatedRootGiven ||
    tolerations !== undefined ||
    rules.aboutEvidence.length > 0 ||
    given.onlyForTesting.debug ||
    given.ownerSecretAccess;
  return {
    terms,
    isExplicit: !trustsAny && (isExplicit || known?.terms !== undefined),
    trustsAny,
    judge: judgeOf(terms, trustsAny, options, shell),
  };
}

/** Judges by the collateral that the options name. */
export function judgeOf(terms: CasTerms, trustsAny: boolean, options: ParsedOptions, shell: Shell): CasJudge {
  const place = { bundle: givenValue(options, "collateral"), directory: shell.directory, subscriptionKey: collateralKey(options, shell) };
  return async (attested, openCredential): Promise<CasVerdict> =>
    trustsAny ? { kind: "unproven", problem: undefined } : judgeWithCollateral(attested, terms, openCredential, place, new Date()); // after the answer: what came along may have been made for it
}

/** Undefined where nobody says anything. */
function givenTolerations(options: ParsedOptions, { environment }: Pick<Shell, "environment">): Tolerations | undefined {
  for (const option of ["set-tolerations", "set-toleration"]) {
    const given = givenValue(options, option);
    if (given !== undefined) return parseTolerations(given, `--${option}`);
  }
  const variable = environment["SGX_TOLERATIONS"];
  return variable === undefined || variable.trim() === "" ? undefined : parseTolerations(variable, "SGX_TOLERATIONS");
}
