import { verifyNitroEvidence } from "../nitro/verify-nitro-evidence.ts";
import { verifyNodeEvidence } from "../node/verify-node-evidence.ts";
import { verifySgxEvidence } from "../sgx/verify-sgx-evidence.ts";
import { verifySimulatedEvidence } from "../simulated/verify-simulated-evidence.ts";
import { verifySnpEvidence } from "../snp/verify-snp-evidence.ts";
import { verifyTdxEvidence } from "../tdx/verify-tdx-evidence.ts";
import { verifyTpmEvidence } from "../tpm/verify-tpm-evidence.ts";
import type { Claims } from "./claims.ts";
import type { Evidence, EvidenceKind } from "./evidence.ts";
import type { VerificationContext } from "./trust.ts";

type EvidenceVerifier = (evidence: Evidence, context: VerificationContext) => Claims;

const HARDWARE_VERIFIERS = {
  sgx: verifySgxEvidence,
  tdx: verifyTdxEvidence,
  snp: verifySnpEvidence,
  nitro: verifyNitroEvidence,
  tpm: verifyTpmEvidence,
} satisfies Partial<Record<EvidenceKind, EvidenceVerifier>>;

/** One verifier for each kind. The wire type chooses; nothing inside the Evidence does. */
const VERIFIERS: Readonly<Record<EvidenceKind, EvidenceVerifier>> = {
  ...HARDWARE_VERIFIERS,
  node: verifyNodeEvidence,
  simulated: (evidence, context) => verifySimulatedEvidence(evidence, context, HARDWARE_VERIFIERS),
};

/**
 * Establishes what Evidence proves at `context.now` under the given trust anchors and collateral. Says nothing about policy.
 * Throws EVIDENCE_MALFORMED, EVIDENCE_SIGNATURE (unsigned, unchained, revoked, unfit) or EVIDENCE_STALE (a date). A kind that does not exist, bytes that
 * are no Uint8Array and a `now` without a time are mistakes of the caller: TypeError.
 */
export function verifyEvidence(evidence: Evidence, context: VerificationContext): Claims {
  const { kind, bytes } = evidence;
  if (!Object.hasOwn(VERIFIERS, kind)) throw new TypeError(`${JSON.stringify(kind)} is none of ${Object.keys(VERIFIERS).join(", ")}`);
  if (Object.prototype.toString.call(bytes) !== "[object Uint8Array]") throw new TypeError("`bytes` of the evidence is not a Uint8Array");
  return VERIFIERS[kind](evidence, context);
}
