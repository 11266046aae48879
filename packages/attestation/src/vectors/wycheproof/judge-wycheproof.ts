import { gunzipSync } from "node:zlib";
import type { CaseVerdict, VectorCase } from "../vector-case.ts";
import { isJoseTokenAccepted } from "./jose.ts";
import { isPrimitiveTestAccepted } from "./primitives.ts";
import { NotAvailable, StricterRule } from "./refusals.ts";
import type { PrimitiveTest, WycheproofGroup } from "./wycheproof-test.ts";

interface WycheproofFile {
  readonly algorithm?: string;
  readonly testGroups: readonly WycheproofGroup[];
}

/**
 * Family `wycheproof`: the primitives that this product uses, in the way it uses them, and the others that node:crypto has. `acceptable`
 * results may go either way. Two kinds of test are told but not held against the library: valid input that a stricter rule of ours refuses, and
 * input that the file calls valid in one place and invalid in another. What node:crypto lacks is not tried, and the case is not right.
 */
export async function judgeWycheproofCase({ files }: VectorCase): Promise<CaseVerdict> {
  const { algorithm = "", testGroups } = readWycheproofFile(files.get("vectors.json.gz") ?? new Uint8Array(0));
  const tests = testGroups.flatMap((group) => group.tests.map((test) => ({ algorithm, group, test })));
  const contradicted = findContradictions(tests);
  const wrong: string[] = [];
  const told: string[] = [];
  const notTried = new Map<string, number>();
  for (const given of tests) {
    const { test } = given;
    const answer = await answerOf(given);
    if (answer instanceof NotAvailable) {
      notTried.set(answer.message, (notTried.get(answer.message) ?? 0) + 1);
      continue;
    }
    if (test.result === "acceptable" || (answer === "accepted") === (test.result === "valid")) continue;
    const line = `${test.tcId} ${answer}, is ${test.result} (${String(test["comment"] ?? "").slice(0, 60)})`;
    const isTold = (test.result === "valid" && answer !== "refused") || contradicted.has(inputOf(given));
    (isTold ? told : wrong).push(line);
  }
  const reasons = [...wrong, ...[...notTried].map(([lack, count]) => `${count} not tried: ${lack}`), ...told];
  const notTriedCount = notTried.values().reduce((sum, count) => sum + count, 0);
  return {
    isRight: wrong.length === 0 && notTriedCount === 0,
    expected: `${tests.length} tests right`,
    found: `${tests.length - wrong.length - told.length - notTriedCount} tests right, ${told.length} told, ${notTriedCount} not tried`,
    ...(reasons.length === 0 ? {} : { reason: reasons.join("; ") }),
  };
}

/** `accepted`, `refused`, the stricter rule that refused, or what is lacking. */
async function answerOf(given: PrimitiveTest): Promise<string | NotAvailable> {
  try {
    const isJose = given.group.type.startsWith("JsonWeb");
    return (await (isJose ? isJoseTokenAccepted(given.group, given.test) : isPrimitiveTestAccepted(given))) ? "accepted" : "refused";
  } catch (error) {
    if (error instanceof StricterRule) return error.message;
    if (error instanceof NotAvailable) return error;
    throw error;
  }
}

/** Inputs that occur with opposite results. */
function findContradictions(tests: readonly PrimitiveTest[]): ReadonlySet<string> {
  const results = new Map<string, string>();
  const contradicted = new Set<string>();
  for (const given of tests) {
    const input = inputOf(given);
    const earlier = results.get(input) ?? given.test.result;
    if (earlier !== given.test.result) contradicted.add(input);
    results.set(input, earlier);
  }
  return contradicted;
}

function inputOf({ group, test }: PrimitiveTest): string {
  const labels = { tests: undefined, tcId: undefined, result: undefined, comment: undefined, flags: undefined };
  return JSON.stringify([
    { ...group, ...labels },
    { ...test, ...labels },
  ]);
}

function readWycheproofFile(compressed: Uint8Array): WycheproofFile {
  // The collection is the caller's own; a file of another shape fails in the tests that read it.
  return JSON.parse(gunzipSync(compressed).toString("utf8")) as WycheproofFile;
}
