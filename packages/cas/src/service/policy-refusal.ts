/** Why a policy refuses what evidence proves: made by the appraisal itself, so that messages, results and explanations cannot differ from it. */
export interface PolicyRefusal {
  /** The field that refuses, from the service (`attestation`, `platforms`) or from the security section that governs it (`security`). */
  readonly path: readonly (string | number)[];
  /** What was looked at, in words. */
  readonly field: string;
  readonly expected: string;
  readonly found: string;
  /** What would make it pass. */
  readonly remedy: string;
  /** All of it in one sentence, without the remedy where the words say it. */
  readonly message: string;
}

/** A field that has to be one of several values. */
export function differs(
  path: PolicyRefusal["path"],
  field: string,
  { found, expected }: { readonly found: string; readonly expected: readonly (string | number)[] },
): PolicyRefusal {
  const wanted = expected.join(" or ") || "none";
  return {
    path,
    field,
    expected: wanted,
    found,
    remedy: `List ${found} there, if that is what should run; otherwise start what is listed.`,
    message: `${field} is ${found}, expected ${wanted}`,
  };
}

/** A version that has to reach a least one. `update` says how it gets higher. */
export function tooLow(path: readonly string[], field: string, claim: unknown, least: number, update: string): PolicyRefusal {
  const [found, expected] = [typeof claim === "number" ? String(claim) : "not in the evidence", `at least ${least}`];
  return {
    path,
    field,
    expected,
    found,
    remedy: `${update}, or lower the minimum.`,
    message: `${field} is ${found}, expected ${expected}`,
  };
}

/** Messages, for where only text fits. */
export const messagesOf = (refusals: readonly PolicyRefusal[]): readonly string[] => refusals.map(({ message }) => message);
