import type { IntelCollateral } from "../collateral/intel-documents.ts";
import { ByteCursor } from "../core/byte-cursor.ts";
import { decodeAscii } from "../core/bytes.ts";
import type { Claims } from "../core/claims.ts";
import { EvidenceError } from "../core/errors.ts";
import type { Evidence, EvidenceKind } from "../core/evidence.ts";
import type { VerificationContext } from "../core/trust.ts";
import { COLLATERAL_ENDORSEMENTS } from "./collateral-endorsements.ts";

const IMITATED = ["sgx", "tdx", "snp", "nitro", "tpm"] as const;
export type ImitatedKind = (typeof IMITATED)[number];
export type ImitatedVerifier = (evidence: Evidence, context: VerificationContext) => Claims;

/**
 * Kind `simulated`: a length byte, the name of the kind it imitates, and Evidence of that kind, which the same verifier judges. The only
 * anchors are those for `simulated`, and these serve no other kind: a development root never makes genuine Evidence, nor the reverse.
 */
export function verifySimulatedEvidence(
  { bytes, endorsements }: Evidence,
  context: VerificationContext,
  verifiers: Readonly<Record<ImitatedKind, ImitatedVerifier>>,
): Claims {
  const malformed = (detail: string) => new EvidenceError("EVIDENCE_MALFORMED", `simulated evidence: ${detail}`, { reason: "parse-error" });
  const cursor = new ByteCursor(bytes, malformed);
  const name = decodeAscii(cursor.take(cursor.uint(1, "kind length"), "kind"));
  const kind = IMITATED.find((known) => known === name);
  if (kind === undefined) throw malformed("imitates no kind of hardware evidence");
  const imitation = { kind, bytes: cursor.take(cursor.left, "evidence"), ...(endorsements === undefined ? {} : { endorsements }) };
  // What its maker would publish comes along with it, signed under the same root; what real vendors published says nothing about it.
  const { intelFreshness: _, ...rest } = context;
  const collateral = { ...context.collateral, intel: () => sentAlong(endorsements) };
  const trustAnchors: Partial<Record<EvidenceKind, readonly Uint8Array[]>> = { [kind]: context.trustAnchors.simulated ?? [] };
  const { platform: _platform, ...claims } = verifiers[kind](imitation, { ...rest, collateral, trustAnchors });
  return { ...claims, kind: "simulated", platformId: `SIMULATED:${claims.platformId}`, details: { ...claims.details, imitates: kind } };
}

function sentAlong(endorsements: Evidence["endorsements"]): IntelCollateral {
  const documents = Object.entries(COLLATERAL_ENDORSEMENTS).map(([member, name]) => [member, endorsements?.get(name)] as const);
  return Object.fromEntries(documents.filter(([, bytes]) => bytes !== undefined));
}
