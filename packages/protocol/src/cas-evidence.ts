import { createHash } from "node:crypto";
import {
  type Claims,
  type Collateral,
  decodeEvidence,
  type Evidence,
  EvidenceError,
  type TrustAnchors,
  type VerificationContext,
  verifyEvidence,
} from "@vouchsafe/attestation";
import { AttestationKeyAuthority, type TpmTrust } from "./attestation-key-authority.ts";
import { casStatementMessage, type VerifiedCasStatement } from "./cas-statement.ts";
import { isEqualProof } from "./channel-binding.ts";
import type { TpmCredential } from "./client-api.ts";
import type { EvidenceJson } from "./messages.ts";
import { ProtocolError } from "./protocol-error.ts";

/** What evidence about a CAS is verified by. */
export interface CasEvidenceTrust {
  /** Roots of the vendors by kind; evidence of a kind without any proves nothing. */
  readonly anchors: TrustAnchors;
  readonly tpm: TpmTrust;
  /** Finds endorsements that did not come along. Throws EvidenceError, ProtocolError. */
  readonly findCollateral: (evidence: Evidence, context: Omit<VerificationContext, "collateral">) => Promise<Collateral>;
  readonly now: Date;
}

/** Has the TPM at the other end open a credential; undefined where nobody is at the other end. */
export type OpenCredential = (credential: TpmCredential) => Promise<Uint8Array>;

/** 64 bytes that evidence of a CAS about itself covers (C-64): the whole statement, hence keys, state and the asker's nonce. */
export function casEvidenceUserData(statement: string): Uint8Array {
  return createHash("sha512").update(casStatementMessage(statement)).digest();
}

/**
 * Establishes what the evidence that came with a statement proves; undefined where none came. The claims are about whoever made this statement for
 * this nonce: evidence of another CAS, or for another request, is refused. Says nothing about what is acceptable. Throws CAS_EVIDENCE.
 */
export async function verifyCasEvidence(
  { evidence, signedStatement }: Pick<VerifiedCasStatement, "evidence" | "signedStatement">,
  trust: CasEvidenceTrust,
  openCredential: OpenCredential | undefined,
): Promise<Claims | undefined> {
  if (evidence === null) return undefined;
  const covered = { userData: casEvidenceUserData(signedStatement), what: "statement" };
  return verifyEvidenceOver(covered, evidence, trust, openCredential);
}

/** What evidence of a CAS has to be about. */
export interface CoveredByEvidence {
  /** 64 bytes, compared whole. */
  readonly userData: Uint8Array;
  /** In words, for a refusal. */
  readonly what: string;
}

/** Establishes what evidence of a CAS proves about what it covers. Says nothing about what is acceptable. Throws CAS_EVIDENCE. */
export async function verifyEvidenceOver(
  { userData, what }: CoveredByEvidence,
  json: EvidenceJson,
  trust: CasEvidenceTrust,
  openCredential: OpenCredential | undefined,
): Promise<Claims> {
  try {
    const received = decodeEvidence(json);
    const { evidence, anchors } =
      received.kind === "tpm" ? await certifyTpmEvidence(received, trust, openCredential) : { evidence: received, anchors: trust.anchors };
    const context = { now: trust.now, trustAnchors: anchors };
    const claims = verifyEvidence(evidence, { ...context, collateral: await trust.findCollateral(evidence, context) });
    if (isEqualProof(claims.userData, userData)) return claims;
    throw new ProtocolError("CAS_EVIDENCE", `the evidence does not cover this ${what}: it was made by another CAS or for another request`, {
      remedy: "Do not use this CAS: somebody relays or replays what another one said.",
    });
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    const remedy = error.remedy === undefined ? {} : { remedy: error.remedy };
    throw new ProtocolError("CAS_EVIDENCE", `the evidence of kind ${json.kind} proves nothing: ${error.message}`, {
      cause: error,
      ...remedy,
    });
  }
}

/**
 * The endorsement key of a TPM came along instead of a certificate: this verifier makes sure itself that both keys are in one TPM, and certifies. The
 * evidence with the certificate, and the roots with which it holds; both as given where no endorsement key came. Throws EvidenceError, CAS_EVIDENCE.
 */
export async function certifyTpmEvidence(
  evidence: Evidence,
  { tpm, anchors, now }: Pick<CasEvidenceTrust, "tpm" | "anchors" | "now">,
  openCredential: OpenCredential | undefined,
): Promise<{ readonly evidence: Evidence; readonly anchors: TrustAnchors }> {
  const {
    "endorsement-key": endorsementKey,
    "endorsement-certificate": certificate,
    ...endorsements
  } = Object.fromEntries(evidence.endorsements ?? []);
  const attestationKey = endorsements["attestation-key"];
  if (endorsementKey === undefined || attestationKey === undefined) return { evidence, anchors };
  if (openCredential === undefined) {
    throw new ProtocolError(
      "CAS_EVIDENCE",
      "evidence of a TPM cannot be judged afterwards: that its keys are in one TPM is shown in conversation only",
      {
        remedy: "Attest the CAS over the network.",
      },
    );
  }
  const authority = new AttestationKeyAuthority(
    () => tpm,
    () => now,
  );
  const { credential, finish } = authority.begin({
    endorsementKey: endorsementKey.toBase64(),
    endorsementCertificates: certificate === undefined ? [] : [certificate.toBase64()],
    attestationKey: attestationKey.toBase64(),
  });
  const proof = Uint8Array.fromBase64(finish(await openCredential(credential)));
  return {
    evidence: { ...evidence, endorsements: new Map([...Object.entries(endorsements), ["attestation-key-certificate", proof]]) },
    anchors: { ...anchors, tpm: [authority.root] },
  };
}
