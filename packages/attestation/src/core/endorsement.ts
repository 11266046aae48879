import { EvidenceError } from "./errors.ts";
import type { Evidence } from "./evidence.ts";
import type { VerificationContext } from "./trust.ts";

/** What the documents of each kind hold, by their names. */
const CONTENTS: ReadonlyMap<string, string> = new Map([
  ["endorsement-key", "the certificate of the VCEK or VLEK that signed the report"],
  ["signer", "the certificate of AMD's ASK or ASVK, which issued that of the VCEK or VLEK"],
  ["signature", "the TPMT_SIGNATURE over the quote"],
  ["attestation-key", "the TPMT_PUBLIC of the key that quoted"],
  ["attestation-key-certificate", "the certificate of the key that quoted"],
  ["pcrs", "the quoted PCR values as JSON"],
]);

/** A document that came with the Evidence, or that the Relying Party has at hand. Its name proves nothing: it is verified like any other. */
export function findEndorsement(evidence: Evidence, context: VerificationContext, name: string): Uint8Array | undefined {
  return evidence.endorsements?.get(name) ?? context.collateral.documents?.get(name);
}

/** The same; throws EVIDENCE_SIGNATURE `collateral-missing`, whose field is the name, when it is nowhere. */
export function getEndorsement(evidence: Evidence, context: VerificationContext, name: string): Uint8Array {
  const bytes = findEndorsement(evidence, context, name);
  if (bytes !== undefined) return bytes;
  throw new EvidenceError("EVIDENCE_SIGNATURE", `${evidence.kind} evidence: ${name} came neither with the evidence nor as collateral`, {
    ...{ reason: "collateral-missing", field: name, expected: CONTENTS.get(name) ?? name, found: "none" },
    remedy: `Send ${name} with the evidence, or give it to the verifier.`,
  });
}
