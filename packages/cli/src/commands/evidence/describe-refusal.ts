import type { EvidenceError } from "@vouchsafe/attestation";

/** A refusal of the verifier as data: members that say nothing are left out. */
export function describeRefusal({ code, reason, message, field, expected, found, remedy }: EvidenceError) {
  return {
    code,
    reason,
    message,
    ...(field === undefined ? {} : { field }),
    ...(expected === undefined ? {} : { expected }),
    ...(found === undefined ? {} : { found }),
    ...(remedy === undefined ? {} : { remedy }),
  };
}

/** The sentence, then what had to be and what was, where that is known apart. */
export function linesOfRefusal({ message, field, expected, found }: EvidenceError): readonly string[] {
  return [
    `  ${message}`,
    ...(field === undefined ? [] : [`  field:    ${field}`]),
    ...(expected === undefined ? [] : [`  expected: ${expected}`]),
    ...(found === undefined ? [] : [`  found:    ${found}`]),
  ];
}
