import type { AttestationResult } from "../core/appraise.ts";
import type { Claims, ClaimValue } from "../core/claims.ts";
import type { EarSubmodule, TrustworthinessClaim } from "./attestation-result-token.ts";

const AFFIRMING = 2;
const WARNING = 32;
const CONTRAINDICATED = 96;

/** Which claim of the trustworthiness vector a check speaks for; checks of single facts speak for the configuration. */
const VECTOR = new Map<string, TrustworthinessClaim>([
  ["evidence kind", "hardware"],
  ["TCB status", "hardware"],
  ["advisories", "hardware"],
  ["user data", "instance-identity"],
  ["platform", "instance-identity"],
  ["code identity", "executables"],
  ["launch measurement", "executables"],
  ["signer", "executables"],
  ["debug", "runtime-opaque"],
]);
const TIERS = { passed: AFFIRMING, "passed-any": WARNING, tolerated: WARNING, failed: CONTRAINDICATED } as const;

/** An appraisal in the words of EAR: the worst check decides each claim of the vector, and the worst claim the status. */
export function earSubmodule(claims: Claims, result: AttestationResult, appraisalPolicyId: string): EarSubmodule {
  const trustworthiness: Partial<Record<TrustworthinessClaim, number>> = {};
  for (const { name, outcome } of result.checks) {
    const claim = VECTOR.get(name) ?? "configuration";
    trustworthiness[claim] = Math.max(trustworthiness[claim] ?? AFFIRMING, TIERS[outcome]);
  }
  // Not vouched for by hardware at all: never better than a warning, whatever the policy accepts.
  if (claims.kind === "simulated" || claims.kind === "node") trustworthiness.hardware = Math.max(trustworthiness.hardware ?? 0, WARNING);
  const worst = Math.max(...Object.values(trustworthiness), AFFIRMING);
  const status = worst >= CONTRAINDICATED ? "contraindicated" : worst >= WARNING ? "warning" : "affirming";
  return { status, trustworthiness, appraisalPolicyId, evidence: evidenceClaims(claims) };
}

function evidenceClaims({
  kind,
  codeIdentity,
  launchMeasurement,
  debug,
  platformId,
  tcb,
  workload,
}: Claims): Readonly<Record<string, ClaimValue | readonly string[]>> {
  return {
    kind,
    codeIdentity,
    launchMeasurement: launchMeasurement.toHex(),
    debug,
    platformId,
    tcbStatus: tcb.status,
    advisories: tcb.advisories,
    ...(workload === undefined ? {} : { imageDigest: workload.imageDigest, fileSystemTag: workload.fileSystemTag }),
  };
}
