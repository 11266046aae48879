import { isSameBytes } from "../core/bytes.ts";
import { type Claims, codeIdentity } from "../core/claims.ts";
import { EvidenceError } from "../core/errors.ts";
import type { Evidence } from "../core/evidence.ts";
import type { VerificationContext } from "../core/trust.ts";
import { NODE_AGENT_MEASUREMENT } from "./node-statement.ts";
import { verifyNodeStatement } from "./verify-node-statement.ts";

/** Kind `node`: what an enrolled agent says about the program it started. Trust anchors are the agents' keys. */
export function verifyNodeEvidence({ bytes }: Evidence, { now, trustAnchors }: VerificationContext): Claims {
  const statement = verifyNodeStatement(bytes, { now, agentKeys: trustAnchors.node ?? [] });
  if (!isSameBytes(statement.agentMeasurement, NODE_AGENT_MEASUREMENT)) {
    throw new EvidenceError("EVIDENCE_SIGNATURE", "node statement: the agent measures by a procedure that is not known here", {
      reason: "unsupported-version",
      remedy: "Run agent and CAS of the same release.",
    });
  }
  const workload = { imageDigest: statement.imageDigest, fileSystemTag: statement.fileSystemTag };
  return {
    kind: "node",
    userData: statement.userData,
    codeIdentity: codeIdentity("node", statement.agentMeasurement, workload),
    launchMeasurement: statement.agentMeasurement,
    debug: false,
    platformId: statement.platformId,
    tcb: { status: "UpToDate", advisories: [] },
    workload,
    instanceId: statement.instanceId,
    details: { program: statement.program, service: statement.service },
  };
}
