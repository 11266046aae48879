import { gunzipSync } from "node:zlib";
import { findPathFault, type LimboTest } from "./limbo-case.ts";
import type { CaseVerdict, VectorCase } from "./vector-case.ts";

/** Family `x509-limbo`. Runs every test of a limbo file; `now` stands in where a test has no time of its own. */
export function judgeLimboCase({ files }: VectorCase, now: Date): CaseVerdict {
  const tests = readLimboTests(files.get("limbo.json.gz") ?? new Uint8Array(0));
  const wrong = tests.flatMap((test) => {
    const fault = findPathFault(test, now);
    return (fault === undefined) === (test.expected_result === "SUCCESS") ? [] : [`${test.id}: ${fault ?? "accepted"}`];
  });
  return {
    isRight: wrong.length === 0,
    expected: `${tests.length} tests right`,
    found: `${tests.length - wrong.length} tests right`,
    ...(wrong.length > 0 ? { reason: wrong.join("; ") } : {}),
  };
}

export function readLimboTests(compressed: Uint8Array): readonly LimboTest[] {
  // The collection is the caller's own; a file of another shape fails in the tests that read it.
  return (JSON.parse(gunzipSync(compressed).toString("utf8")) as { readonly testcases: readonly LimboTest[] }).testcases;
}
