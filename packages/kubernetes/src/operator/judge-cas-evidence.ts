import { type CasVerdict, describeCasClaims, type VerifiedCasStatement } from "@vouchsafe/protocol";
import { type ConditionChange, condition, NO_EVIDENCE } from "./conditions.ts";

/** A status is no place for large evidence; what is left out can be asked for again. */
const REPORT_MAX_CHARACTERS = 256 * 1024;

/** Fields of section 10.2 about what a CAS proved, and the condition that says it in words. */
export function judgeEvidence(
  attested: VerifiedCasStatement,
  verdict: CasVerdict,
): {
  readonly fields: { readonly attestable: string; readonly nonce: string; readonly dcapReport: string };
  readonly condition: ConditionChange;
} {
  const said = { nonce: attested.statement.nonce, dcapReport: reportOf(attested) };
  switch (verdict.kind) {
    case "proven": {
      const message = [describeCasClaims(verdict.claims), ...verdict.warnings].join("; ");
      return { fields: { attestable: "Yes", ...said }, condition: condition(TYPE, true, "Proven", message) };
    }
    case "unproven": {
      const because = verdict.problem === undefined ? "" : ` (${verdict.problem})`;
      const message = `signature and nonce are right; no evidence of hardware${because}: whoever is root on the node of this CAS can read what it keeps`;
      return { fields: { attestable: "No", ...said }, condition: condition(TYPE, false, NO_EVIDENCE, message) };
    }
    case "refused": {
      const acceptedBy =
        verdict.acceptedBy === undefined
          ? (verdict.remedy ?? "")
          : `accepted by: kubectl provision ${verdict.acceptedBy}, or spec.attestation`;
      const message = [...verdict.problems, acceptedBy].filter((part) => part !== "").join("; ");
      return { fields: { attestable: "Failed", ...said }, condition: condition(TYPE, false, "Refused", message) };
    }
    default:
      return verdict satisfies never;
  }
}

const TYPE = "Attestable";

/** The answer to `GET /v1/attest` as it came, base64: whoever has it judges it without the CAS (C-64). */
function reportOf({ signedStatement, signature, evidence, evidenceProblem }: VerifiedCasStatement): string {
  const answer = { statement: signedStatement, signature, evidence, ...(evidenceProblem === undefined ? {} : { evidenceProblem }) };
  const whole = Buffer.from(JSON.stringify(answer)).toString("base64");
  if (whole.length <= REPORT_MAX_CHARACTERS) return whole;
  const shortened = { ...answer, evidence: null, evidenceProblem: "too large for the status of a resource: ask the CAS" };
  return Buffer.from(JSON.stringify(shortened)).toString("base64");
}
