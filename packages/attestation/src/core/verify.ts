import { verifySgxEvidence } from "../sgx/verify-sgx-evidence.ts";
import { verifyTdxEvidence } from "../tdx/verify-tdx-evidence.ts";
import type { Claims } from "./claims.ts";
import { EvidenceError } from "./errors.ts";
import type { Evidence, EvidenceKind } from "./evidence.ts";
import type { VerificationContext } from "./trust.ts";

type EvidenceVerifier = (evidence: Evidence, context: VerificationContext) => Claims;

/** One verifier for each kind. The wire type chooses; nothing inside the Evidence does. */
const VERIFIERS = {
  sgx: verifySgxEvidence,
  tdx: verifyTdxEvidence,
} satisfies Partial<Record<EvidenceKind, EvidenceVerifier>>;

/**
 * Establishes what Evidence proves at `context.now` under the given trust anchors and collateral. Says nothing about policy.
 * Throws EVIDENCE_MALFORMED, EVIDENCE_SIGNATURE (unsigned, unchained, revoked, unfit) or EVIDENCE_STALE (a date).
 */
export function verifyEvidence(evidence: Evidence, context: VerificationContext): Claims {
  const verifiers: Partial<Record<EvidenceKind, EvidenceVerifier>> = VERIFIERS;
  const verify = verifiers[evidence.kind];
  if (verify === undefined) {
    throw new EvidenceError("EVIDENCE_MALFORMED", `no verifier for evidence of kind ${evidence.kind}`, { reason: "unsupported-tee" });
  }
  return verify(evidence, context);
}
