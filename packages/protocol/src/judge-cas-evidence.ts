import type { Claims } from "@vouchsafe/attestation";
import { appraiseCas, type CasMismatch, describeMismatch } from "./appraise-cas.ts";
import { type CasEvidenceTrust, type OpenCredential, verifyCasEvidence } from "./cas-evidence.ts";
import type { VerifiedCasStatement } from "./cas-statement.ts";
import { type CasTerms, casExpectations, casTrustAnchors } from "./cas-terms.ts";
import type { CasStatement } from "./client-api.ts";
import { ProtocolError } from "./protocol-error.ts";

/** What the evidence of a CAS about itself came to. */
export type CasVerdict =
  /** It gave none, and none was demanded: nothing but its key tells who it is. `problem` is why, as the CAS says. */
  | { readonly kind: "unproven"; readonly problem: string | undefined }
  /** What it proves is as the terms want it. */
  | { readonly kind: "proven"; readonly claims: Claims; readonly warnings: readonly string[] }
  /** Every reason, and the switches of the command line that would accept all of them; undefined where none would. */
  | {
      readonly kind: "refused";
      readonly problems: readonly [string, ...string[]];
      readonly acceptedBy: string | undefined;
      readonly remedy: string | undefined;
    };

/** How somebody judges the evidence that came with a statement; the connection is still open, so that a TPM can be asked. */
export type CasJudge = (attested: VerifiedCasStatement, openCredential: OpenCredential | undefined) => Promise<CasVerdict>;

export interface JudgeOptions {
  /** Security version of the software that judges (C-65). */
  readonly ownSecurityVersion: number;
  /** May throw ProtocolError CAS_EVIDENCE where nobody has what is needed. */
  readonly findCollateral: CasEvidenceTrust["findCollateral"];
  readonly now: Date;
}

/**
 * Verifies the evidence that came with a statement and compares it with the terms (C-64 to C-68, C-71). Throws what `findCollateral` and `openCredential`
 * throw, except ProtocolError CAS_EVIDENCE: evidence that proves nothing is refused.
 */
export async function judgeCasEvidence(
  attested: VerifiedCasStatement,
  terms: CasTerms,
  openCredential: OpenCredential | undefined,
  { ownSecurityVersion, findCollateral, now }: JudgeOptions,
): Promise<CasVerdict> {
  let claims: Claims | undefined;
  try {
    claims = await verifyCasEvidence(attested, { ...casTrustAnchors(terms), findCollateral, now }, openCredential);
  } catch (error) {
    if (!(error instanceof ProtocolError) || error.code !== "CAS_EVIDENCE") throw error;
    return { kind: "refused", problems: [error.message], acceptedBy: undefined, remedy: error.remedy };
  }
  const ownership = ownershipMismatches(attested, terms);
  if (claims === undefined) return ownership.length === 0 ? withoutEvidence(attested, terms) : refusal(ownership);
  return appraiseByTerms(claims, attested.statement, terms, ownSecurityVersion, ownership);
}

/** Compares what is proven with the terms, and adds `further` mismatches that are known already. */
export function appraiseByTerms(
  claims: Claims,
  software: Pick<CasStatement, "securityVersion">,
  terms: CasTerms,
  ownSecurityVersion: number,
  further: readonly CasMismatch[] = [],
): Exclude<CasVerdict, { kind: "unproven" }> {
  const mismatches = [...appraiseCas(claims, software, casExpectations(terms, ownSecurityVersion)), ...further];
  return mismatches.length > 0 ? refusal(mismatches) : { kind: "proven", claims, warnings: warningsAbout(claims, terms) };
}

function refusal(mismatches: readonly CasMismatch[]): Extract<CasVerdict, { kind: "refused" }> {
  const [first = "", ...more] = mismatches.map(describeMismatch);
  return { kind: "refused", problems: [first, ...more], acceptedBy: switchesFor(mismatches), remedy: undefined };
}

/** C-69: the statement says it itself, with or without evidence. */
function ownershipMismatches({ statement }: VerifiedCasStatement, { ownerSecretAccess }: CasTerms): readonly CasMismatch[] {
  if (!statement.databaseKeyInjected || ownerSecretAccess) return [];
  const found = "one that the owner brought, who can read all secrets";
  return [{ what: "database key", expected: "one that nobody knows", found, acceptedBy: "--allow-cas-owner-secret-access" }];
}

/** What a CAS without evidence is missing, in one sentence. */
export function describeMissingEvidence(problem: string | undefined): string {
  const because = problem === undefined ? "" : ` (it says: ${problem})`;
  return `expected evidence of hardware, found none: the CAS is not protected by it${because}`;
}

function withoutEvidence({ evidenceProblem }: VerifiedCasStatement, { evidence }: CasTerms): CasVerdict {
  if (evidence === "ifGiven") return { kind: "unproven", problem: evidenceProblem };
  return { kind: "refused", problems: [describeMissingEvidence(evidenceProblem)], acceptedBy: undefined, remedy: undefined };
}

function switchesFor(mismatches: readonly CasMismatch[]): string | undefined {
  if (mismatches.some(({ acceptedBy }) => acceptedBy === undefined)) return undefined;
  return [...new Set(mismatches.map(({ acceptedBy }) => acceptedBy))].join(" ");
}

/** What is accepted on request only, or proves less than it seems to: to be said whenever it is accepted. */
function warningsAbout({ kind, debug, tcb, signer, details }: Claims, { onlyForTesting }: CasTerms): string[] {
  const when = (holds: boolean, text: string) => (holds ? [text] : []);
  return [
    ...when(kind === "simulated", `warning: DEVELOPMENT ONLY: the evidence is simulated (${details["imitates"]}); it proves nothing`),
    ...when(debug, "warning: this CAS can be debugged: the root user of its machine can read what it keeps"),
    ...(onlyForTesting.ignoreSigner && signer !== undefined ? [`warning: who signed this CAS was not checked (${signer.mrSigner})`] : []),
    ...when(tcb.status !== "UpToDate", `warning: the platform of this CAS is accepted although it is ${tcb.status}`),
    ...when(tcb.advisories.length > 0, `warning: advisories are open for the platform of this CAS: ${tcb.advisories.join(", ")}`),
    ...when(kind === "tpm", "notice: a TPM says what the machine booted; the root user of the machine can still read what this CAS keeps"),
  ];
}

/** What the evidence proves, in one line. */
export const describeCasClaims = ({ kind, codeIdentity, platformId, tcb, details }: Claims): string =>
  `evidence of kind ${kind}${kind === "simulated" ? ` (${details["imitates"]})` : ""}: code identity ${codeIdentity}, platform ${platformId}, ${tcb.status}`;
