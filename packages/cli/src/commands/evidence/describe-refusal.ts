import type { EvidenceError } from "@vouchsafe/attestation";

/** A refusal of the verifier as data: members that say nothing are left out. */
export function describeRefusal(error: EvidenceError) {
  const { code, reason, message, field, expected, found, remedy } = error;
  const options = optionsAgainst(error);
  return {
    code,
    reason,
    message,
    ...(field === undefined ? {} : { field }),
    ...(expected === undefined ? {} : { expected }),
    ...(found === undefined ? {} : { found }),
    ...(remedy === undefined ? {} : { remedy }),
    ...(options === undefined ? {} : { options }),
  };
}

/** The sentence, then what had to be and what was, where that is known apart. */
export function linesOfRefusal(error: EvidenceError): readonly string[] {
  const { message, field, expected, found } = error;
  const options = optionsAgainst(error);
  return [
    `  ${message}`,
    ...(field === undefined ? [] : [`  field:    ${field}`]),
    ...(expected === undefined ? [] : [`  expected: ${expected}`]),
    ...(found === undefined ? [] : [`  found:    ${found}`]),
    ...(options === undefined ? [] : [`  options:  ${options}`]),
  ];
}

const COLLATERAL = "--collateral FILE (made by vouchsafe collateral bundle) or DIR (with Intel's documents)";
/** Endorsements that vendors publish: bundles have them too. */
const PUBLISHED = new Set(["endorsement-key", "signer"]);
const EARLIER = "--at TIME (when it was valid)";

/** Options of `evidence verify` and `explain` that would change a refusal; undefined where none does. */
function optionsAgainst({ code, reason, field, found }: EvidenceError): string | undefined {
  switch (reason) {
    case "collateral-missing":
      if (field === undefined) return COLLATERAL;
      return `--with ${field}=FILE${PUBLISHED.has(field) ? ", or --collateral FILE" : ""}`;
    case "collateral-mismatch":
      return COLLATERAL;
    case "collateral-expired":
      return `${COLLATERAL}, or ${EARLIER}`;
    case "untrusted-root":
      return "--root FILE";
    case "unsupported-tee":
      return found === undefined ? undefined : `--kind ${found}`;
    default:
      return code === "EVIDENCE_STALE" && reason !== "nonce-mismatch" ? EARLIER : undefined;
  }
}
