import {
  type Claims,
  codeIdentity,
  decodeEvidence,
  EvidenceError,
  NODE_AGENT_MEASUREMENT,
  verifyNodeStatement,
} from "@vouchsafe/attestation";
import type { EvidenceJson, RefusalCode } from "@vouchsafe/protocol";
import { Refused } from "./refusal.ts";

/** What this CAS trusts besides vendor roots. */
export interface EvidenceTrust {
  /** DER SubjectPublicKeyInfo of enrolled node agents. */
  readonly nodeKeys: () => readonly Uint8Array[];
  readonly now: () => Date;
}

const CODES: Readonly<Record<EvidenceError["code"], RefusalCode>> = {
  EVIDENCE_MALFORMED: "evidence_malformed",
  EVIDENCE_SIGNATURE: "evidence_signature",
  EVIDENCE_STALE: "evidence_stale",
};

/** Establishes what Evidence proves; says nothing about policy. Throws Refused at step "evidence" (C-50). */
export function verifyServiceEvidence(json: EvidenceJson, trust: EvidenceTrust): Claims {
  try {
    const evidence = decodeEvidence(json);
    if (evidence.kind !== "node") {
      throw new EvidenceError("EVIDENCE_SIGNATURE", `this CAS has no trust anchor for evidence of kind ${evidence.kind}`);
    }
    const statement = verifyNodeStatement(evidence.bytes, { now: trust.now(), agentKeys: trust.nodeKeys() });
    if (Buffer.compare(statement.agentMeasurement, NODE_AGENT_MEASUREMENT) !== 0) {
      throw new EvidenceError("EVIDENCE_SIGNATURE", "node statement: the agent measures by a procedure that this CAS does not know");
    }
    const workload = { imageDigest: statement.imageDigest, fileSystemTag: statement.fileSystemTag };
    return {
      kind: "node",
      userData: statement.userData,
      codeIdentity: codeIdentity("node", statement.agentMeasurement, workload),
      launchMeasurement: statement.agentMeasurement,
      workload,
      details: { program: statement.program, service: statement.service },
      debug: false,
      platformId: statement.platformId,
      tcb: { status: "UpToDate", advisories: [] },
      instanceId: statement.instanceId,
    };
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    throw new Refused(CODES[error.code], "evidence", error.message, error.remedy === undefined ? [] : [error.remedy]);
  }
}
