import {
  type Claims,
  type Collateral,
  decodeEvidence,
  EvidenceError,
  type TrustAnchors,
  VerificationCache,
  verifyEvidence,
} from "@vouchsafe/attestation";
import type { EvidenceJson, RefusalCode } from "@vouchsafe/protocol";
import { Refused } from "./refusal.ts";

/** What this CAS trusts. A kind without anchors is trusted from nobody. */
export interface EvidenceTrust {
  /** Roots of the vendors, by kind. */
  readonly anchors: TrustAnchors;
  /** DER SubjectPublicKeyInfo of enrolled node agents. */
  readonly nodeKeys: () => readonly Uint8Array[];
  readonly collateral: Collateral;
  readonly now: () => Date;
}

const CODES: Readonly<Record<EvidenceError["code"], RefusalCode>> = {
  EVIDENCE_MALFORMED: "evidence_malformed",
  EVIDENCE_SIGNATURE: "evidence_signature",
  EVIDENCE_STALE: "evidence_stale",
};

/** Chains and documents that were verified before; verdicts are never kept. */
const cache = new VerificationCache();

/** Establishes what Evidence proves; says nothing about policy. Throws Refused at step "evidence" (C-50). */
export function verifyServiceEvidence(json: EvidenceJson, { anchors, nodeKeys, collateral, now }: EvidenceTrust): Claims {
  try {
    return verifyEvidence(decodeEvidence(json), { now: now(), trustAnchors: { ...anchors, node: nodeKeys() }, collateral, cache });
  } catch (error) {
    throw asRefusal(error);
  }
}

/** Evidence, or an endorsement, that proves nothing: as a refusal at step "evidence". Everything else is passed on. */
export function asRefusal(error: unknown): unknown {
  if (!(error instanceof EvidenceError)) return error;
  return new Refused(CODES[error.code], "evidence", error.message, error.remedy === undefined ? [] : [error.remedy]);
}
