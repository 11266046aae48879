import {
  type Claims,
  type Collateral,
  decodeEvidence,
  type Evidence,
  EvidenceError,
  type Platform,
  type TrustAnchors,
  VerificationCache,
  type VerificationContext,
  verifyEvidence,
} from "@vouchsafe/attestation";
import { CollateralError } from "@vouchsafe/collateral";
import type { EvidenceJson, RefusalCode } from "@vouchsafe/protocol";
import { Refused } from "./refusal.ts";

/** What this CAS trusts. A kind without anchors is trusted from nobody. */
export interface EvidenceTrust {
  /** Roots of the vendors, by kind. */
  readonly anchors: TrustAnchors;
  /** DER SubjectPublicKeyInfo of enrolled node agents. */
  readonly nodeKeys: () => readonly Uint8Array[];
  /** Finds Endorsements that did not come with the Evidence. Throws EvidenceError, CollateralError. */
  readonly findCollateral: (evidence: Evidence, context: Omit<VerificationContext, "collateral">) => Promise<Collateral>;
  /** Told of every platform whose evidence held and was made for this connection. */
  readonly onPlatform: (platform: Platform, service: string) => void;
  /** Never goes back. */
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
export async function verifyServiceEvidence(
  json: EvidenceJson,
  { anchors, nodeKeys, findCollateral, now }: EvidenceTrust,
): Promise<Claims> {
  try {
    const evidence = decodeEvidence(json);
    const trustAnchors = { ...anchors, node: nodeKeys() };
    const collateral = await findCollateral(evidence, { now: now(), trustAnchors, cache });
    return verifyEvidence(evidence, { now: now(), trustAnchors, collateral, cache });
  } catch (error) {
    throw asRefusal(error);
  }
}

/** Evidence, or an endorsement, that proves nothing or cannot be had: as a refusal at step "evidence". Everything else is passed on. */
export function asRefusal(error: unknown): unknown {
  if (!(error instanceof EvidenceError || error instanceof CollateralError)) return error;
  const code = error instanceof CollateralError ? "collateral_unavailable" : CODES[error.code];
  return new Refused(code, "evidence", error.message, error.remedy === undefined ? [] : [error.remedy]);
}

/** Runs what throws EvidenceError or CollateralError; throws Refused at step "evidence" instead. */
export function orRefused<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw asRefusal(error);
  }
}
