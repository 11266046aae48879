import type { LocatedCheck } from "./policy-appraisal.ts";

const MARKS = { passed: "ok       ", "passed-any": "any      ", tolerated: "tolerated", failed: "FAILED   " } as const;

/** A check for people: one line where it holds; where it fails, also what was expected and found, what would make it pass, and where the policy says so. */
export function linesOfCheck({ name, outcome, expected, found, remedy, policy = [] }: LocatedCheck, options?: string): readonly string[] {
  if (outcome !== "failed") return [`${MARKS[outcome]} ${name}: ${found}`];
  return [
    `${MARKS.failed} ${name}`,
    `            expected: ${expected}`,
    `            found:    ${found}`,
    ...policy.map(
      ({ file, line, column, path, isWritten }) =>
        `            policy:   ${file}:${line}:${column} ${path}${isWritten ? "" : " (not written: its default holds)"}`,
    ),
    ...(remedy === undefined ? [] : [`            to pass:  ${remedy}`]),
    ...(options === undefined ? [] : [`            options:  ${options}`]),
  ];
}

/** The last line of an appraisal. */
export function verdictLine(accepted: boolean, checks: readonly LocatedCheck[]): string {
  if (accepted) return "accepted";
  return `refused: ${checks.filter(({ outcome }) => outcome === "failed").length} of ${checks.length} checks failed`;
}
