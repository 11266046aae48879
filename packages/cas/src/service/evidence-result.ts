import { timingSafeEqual } from "node:crypto";
import type { AppraisalCheck, AttestationResult, CheckOutcome, Claims } from "@vouchsafe/attestation";
import { appraisePlatformId, appraiseVariants } from "./appraise.ts";
import { appraisePlatform } from "./appraise-platform.ts";
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
  if (expected === undefined) return check("user data", "passed-any", "any", found);
  const isEqual = expected.length === userData.length && timingSafeEqual(expected, userData);
  return check("user data", isEqual ? "passed" : "failed", expected.toHex(), found);
}

const NOTHING_TOLERATED = { tolerate: [], ignoreAdvisories: [], exceptions: [] } as const;

function platformChecks(claims: Claims, rules: ServiceRules | undefined, now: Date): readonly AppraisalCheck[] {
  const { kind, tcb, debug } = claims;
  const platform = rules?.security.attestation;
  const isKindAccepted = platform === undefined ? kind !== "simulated" && kind !== "node" : platform.evidence.includes(kind);
  const { problems } = appraisePlatform(claims, platform ?? NOTHING_TOLERATED, now);
  const isPlain = tcb.status === "UpToDate" && tcb.advisories.length === 0 && !debug;
  const found = [tcb.status, ...tcb.advisories, ...(debug ? ["debug mode"] : [])].join(", ");
  const outcome = problems.length > 0 ? "failed" : isPlain ? "passed" : "tolerated";
  return [
    check("evidence kind", isKindAccepted ? "passed" : "failed", platform?.evidence.join(" or ") ?? "hardware evidence", kind),
    check(
      "debug",
      debug ? (outcome === "failed" ? "failed" : "tolerated") : "passed",
      "production mode",
      debug ? "debug mode" : "production mode",
    ),
    {
      ...check("TCB status", outcome, "what the policy tolerates", found),
      ...(problems.length === 0 ? {} : { remedy: problems.join("; ") }),
    },
  ];
}

/** Without a policy nothing is said of the code: the result has no claim on executables. */
function codeChecks(claims: Claims, rules: ServiceRules | undefined): readonly AppraisalCheck[] {
  if (rules === undefined) return [];
  const reasons = appraiseVariants(claims, rules.variants);
  const platform = appraisePlatformId(claims, rules.platforms);
  return [
    {
      ...check("code identity", reasons === undefined ? "passed" : "failed", "a variant of the policy", claims.codeIdentity),
      ...(reasons === undefined ? {} : { remedy: reasons.join("; ") }),
    },
    check("platform", platform === undefined ? "passed" : "failed", rules.platforms.join(" or ") || "any", claims.platformId),
  ];
}

const check = (name: string, outcome: CheckOutcome, expected: string, found: string): AppraisalCheck => ({
  name,
  outcome,
  expected,
  found,
});
