import { resolve } from "node:path";
import type { Claims, Evidence, VerificationContext } from "@vouchsafe/attestation";
import { CAS_SOFTWARE, type LogKeyEvidence } from "@vouchsafe/cas";
import {
  bundleFileSource,
  CollateralError,
  CollateralProvider,
  type CollateralSource,
  collateralFor,
  memoryFloors,
  vendorSources,
} from "@vouchsafe/collateral";
import {
  appraiseByTerms,
  type CasEvidenceTrust,
  type CasTerms,
  type CasVerdict,
  casTrustAnchors,
  judgeCasEvidence,
  type OpenCredential,
  ProtocolError,
  type VerifiedCasStatement,
  verifyEvidenceOver,
} from "@vouchsafe/protocol";
import { CliError } from "../../cli-error.ts";

/** Where documents of the hardware's makers come from. */
export interface CollateralPlace {
  /** A bundle file; Intel's and AMD's services unless given. */
  readonly bundle: string | undefined;
  readonly directory: string;
  /** Key of a subscription to Intel's service. */
  readonly subscriptionKey?: string | undefined;
}

/** Verifies the evidence that came with a statement and compares it with the terms of this client (C-65 to C-68). Throws ProtocolError. */
export function judgeWithCollateral(
  attested: VerifiedCasStatement,
  terms: CasTerms,
  openCredential: OpenCredential | undefined,
  place: CollateralPlace,
  now: Date,
): Promise<CasVerdict> {
  const { findCollateral } = evidenceTrust(terms, place, now);
  return judgeCasEvidence(attested, terms, openCredential, { ownSecurityVersion: CAS_SOFTWARE.securityVersion, findCollateral, now });
}

/**
 * The same for the evidence over the key of an audit log (C-87). No statement of the CAS came along: the version is that of signed code, or its measurement
 * decides. Throws CliError E-CAS-ATTEST, ProtocolError.
 */
export async function judgeLogKeyEvidence(
  { evidence, userData }: LogKeyEvidence,
  terms: CasTerms,
  place: CollateralPlace,
  now: Date,
): Promise<{ readonly claims: Claims; readonly warnings: readonly string[] }> {
  const claims = await verifyEvidenceOver({ userData, what: "key of the log" }, evidence, evidenceTrust(terms, place, now), undefined);
  const { securityVersion } = CAS_SOFTWARE;
  const verdict = appraiseByTerms(claims, { securityVersion: terms.isvsvn ?? securityVersion }, terms, securityVersion);
  if (verdict.kind === "proven") return verdict;
  throw evidenceRefusal(verdict);
}

/** With every mismatch, and the switches that would accept them (C-71). */
export function evidenceRefusal({ problems, acceptedBy, remedy }: Extract<CasVerdict, { kind: "refused" }>): CliError {
  const [first, ...causes] = problems;
  const help =
    acceptedBy === undefined
      ? (remedy ?? "No option accepts that: use another CAS.")
      : `If that is the CAS you expect, accept it with: ${acceptedBy}.`;
  return new CliError("E-CAS-ATTEST", first, { causes, remedy: help });
}

const sourcesOf = ({ bundle, directory, subscriptionKey }: CollateralPlace): readonly CollateralSource[] =>
  bundle === undefined ? vendorSources({ subscriptionKey }) : [bundleFileSource(resolve(directory, bundle))];

function evidenceTrust(terms: CasTerms, place: CollateralPlace, now: Date): CasEvidenceTrust {
  const trust = casTrustAnchors(terms);
  const { anchors } = trust;
  const provider = new CollateralProvider({
    sources: sourcesOf(place),
    anchors,
    floors: memoryFloors(),
    now: () => now,
    random: Math.random,
  });
  const findCollateral = async (evidence: Evidence, context: Omit<VerificationContext, "collateral">) => {
    try {
      return await collateralFor(provider, evidence, { update: "standard", context });
    } catch (cause) {
      if (!(cause instanceof CollateralError)) throw cause;
      throw new ProtocolError("CAS_EVIDENCE", cause.message, {
        cause,
        remedy: "Give it with --collateral FILE (vouchsafe collateral bundle).",
      });
    }
  };
  return { ...trust, findCollateral, now };
}
