import assert from "node:assert/strict";
import type { ManifestDiagnostic } from "../diagnostic.ts";

/** A finding that a bad input must give: code, words of its text, and, where it matters, line and column. */
export interface Expected {
  readonly code: string;
  /** Each must occur in message, expectation or hint. */
  readonly says: readonly string[];
  readonly at?: string;
}

export function assertFinding(diagnostics: readonly ManifestDiagnostic[], { code, says, at }: Expected): void {
  const shown = diagnostics
    .map(({ rule, line, column, message, expected, hint }) => `${line}:${column} ${rule} ${message} | ${expected} | ${hint}`)
    .join("\n");
  const found = diagnostics.filter(({ rule }) => rule === code);
  assert.notEqual(found.length, 0, `${code} was not found in:\n${shown}`);
  const fits = found.some(({ message, expected, hint, file }) =>
    says.every((word) => `${file} ${message} ${expected} ${hint}`.includes(word)),
  );
  assert.ok(fits, `no ${code} says ${JSON.stringify(says)} in:\n${shown}`);
  if (at !== undefined)
    assert.ok(
      found.some(({ line, column }) => `${line}:${column}` === at),
      `no ${code} at ${at} in:\n${shown}`,
    );
  for (const { severity, rule, line, column } of found) {
    assert.equal(severity, code.startsWith("W-") ? "warning" : "error", rule);
    assert.ok(line >= 1 && column >= 1, `${rule} has the position ${line}:${column}`);
  }
}
