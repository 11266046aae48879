import type { AppraisalCheck, AttestationResult, CheckOutcome, Claims } from "@vouchsafe/attestation";
import { isEqualProof } from "@vouchsafe/protocol";
import { appraisePlatformId, appraiseVariants } from "./appraise.ts";
import { appraisePlatform } from "./appraise-platform.ts";
import type { PolicyRefusal } from "./policy-refusal.ts";
import type { ServiceRules } from "./service-rules.ts";

export interface ResultInputs {
  /** Undefined: the asker expects none, and the result says that any was accepted. */
  readonly userData: Uint8Array | undefined;
  /** Of the service whose policy appraises; undefined: what is harmless anywhere, whatever the code. */
  readonly rules: ServiceRules | undefined;
  readonly now: Date;
}

/** The steps of an attestation (C-37) as a list of checks, made by the same functions that decide over a delivery. */
export function evidenceResult(claims: Claims, { userData, rules, now }: ResultInputs): AttestationResult {
  const checks = [userDataCheck(claims, userData), ...platformChecks(claims, rules, now), ...codeChecks(claims, rules)];
  return { accepted: checks.every(({ outcome }) => outcome !== "failed"), checks };
}

function userDataCheck({ userData }: Claims, expected: Uint8Array | undefined): AppraisalCheck {
  const found = userData.toHex();
  if (expected === undefined) return passed("user data", "passed-any", "any", found);
  if (isEqualProof(userData, expected)) return passed("user data", "passed", expected.toHex(), found);
  const remedy = "Attest again on this connection: evidence of another is worth nothing here.";
  return { name: "user data", outcome: "failed", expected: expected.toHex(), found, remedy };
}

const NOTHING_TOLERATED = { tolerate: [], ignoreAdvisories: [], exceptions: [] } as const;

function platformChecks(claims: Claims, rules: ServiceRules | undefined, now: Date): readonly AppraisalCheck[] {
  const { tcb, debug, weaknesses } = claims;
  const { problems, exceptions } = appraisePlatform(claims, rules?.security.attestation ?? NOTHING_TOLERATED, now);
  const refused = (field: string) => problems.filter((problem) => problem.field === field).map(asCheck);
  const judged = (name: string, isPlain: boolean, expected: string, found: string): readonly AppraisalCheck[] => {
    const failed = refused(name);
    return failed.length > 0 ? failed : [passed(name, isPlain ? "passed" : "tolerated", expected, found)];
  };
  return [
    kindCheck(claims, rules),
    ...judged("debug", !debug, "production mode", debug ? "debug mode" : "production mode"),
    ...judged("TCB status", tcb.status === "UpToDate", "UpToDate", tcb.status),
    ...judged("advisories", tcb.advisories.length === 0, "none", tcb.advisories.join(", ") || "none"),
    // Only some kinds say anything of it, and then it counts as a claim of the result.
    ...(weaknesses === undefined
      ? []
      : judged("configuration", weaknesses.length === 0, "nothing weak", weaknesses.join("; ") || "nothing weak")),
    ...refused("exception"),
    ...exceptions.map(({ until, because }) => passed("exception", "tolerated", `a day up to ${until}`, because)),
  ];
}

/** Without a policy only hardware is accepted. */
function kindCheck({ kind }: Claims, rules: ServiceRules | undefined): AppraisalCheck {
  const accepted = rules?.security.attestation.evidence;
  const expected = accepted?.join(" or ") ?? "hardware evidence";
  if (accepted === undefined ? kind !== "simulated" && kind !== "node" : accepted.includes(kind))
    return passed("evidence kind", "passed", expected, kind);
  const remedy = `Attest with another kind, or name ${kind} among the kinds that the policy accepts.`;
  return { name: "evidence kind", outcome: "failed", expected, found: kind, remedy, policyPath: ["security", "attestation", "evidence"] };
}

/** Without a policy nothing is said of the code: the result has no claim on executables. */
function codeChecks(claims: Claims, rules: ServiceRules | undefined): readonly AppraisalCheck[] {
  if (rules === undefined) return [];
  const reasons = appraiseVariants(claims, rules.variants);
  const platform = appraisePlatformId(claims, rules.platforms);
  return [
    ...(reasons === undefined
      ? [passed("code identity", "passed", "a variant of the policy", claims.codeIdentity)]
      : reasons.map((reason) => ({ ...asCheck(reason), name: "code identity", found: `${reason.field} ${reason.found}` }))),
    platform === undefined ? passed("platform", "passed", rules.platforms.join(" or ") || "any", claims.platformId) : asCheck(platform),
  ];
}

const passed = (name: string, outcome: Exclude<CheckOutcome, "failed">, expected: string, found: string): AppraisalCheck => ({
  name,
  outcome,
  expected,
  found,
});

const asCheck = ({ field, expected, found, remedy, path }: PolicyRefusal): AppraisalCheck => ({
  name: field,
  outcome: "failed",
  expected,
  found,
  remedy,
  policyPath: path,
});
