import { EvidenceError } from "./errors.ts";
import type { Evidence } from "./evidence.ts";
import type { VerificationContext } from "./trust.ts";

/** A document that came with the Evidence, or that the Relying Party has at hand. Its name proves nothing: it is verified like any other. */
export function findEndorsement(evidence: Evidence, context: VerificationContext, name: string): Uint8Array | undefined {
  return evidence.endorsements?.get(name) ?? context.collateral.documents?.get(name);
}

/** The same; throws EVIDENCE_SIGNATURE `collateral-missing` when it is nowhere. */
export function getEndorsement(evidence: Evidence, context: VerificationContext, name: string): Uint8Array {
  const bytes = findEndorsement(evidence, context, name);
  if (bytes !== undefined) return bytes;
  throw new EvidenceError("EVIDENCE_SIGNATURE", `${evidence.kind} evidence: ${name} came neither with the evidence nor as collateral`, {
    reason: "collateral-missing",
    remedy: `Send ${name} with the evidence, or give it to the verifier.`,
  });
}
