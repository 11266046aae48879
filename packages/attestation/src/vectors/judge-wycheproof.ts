import { gunzipSync } from "node:zlib";
import { StricterRule } from "./stricter-rule.ts";
import type { CaseVerdict, VectorCase } from "./vector-case.ts";
import { isJoseTokenAccepted } from "./wycheproof-jose.ts";
import { isPrimitiveTestAccepted } from "./wycheproof-primitives.ts";
import type { WycheproofGroup, WycheproofTest } from "./wycheproof-test.ts";

interface WycheproofFile {
  readonly algorithm?: string;
  readonly testGroups: readonly WycheproofGroup[];
}

/**
 * Family `wycheproof`: the primitives that this product uses, in the way it uses them. `acceptable` results may go either way. Two kinds of
 * test are told but not held against the library: valid input that a stricter rule of ours refuses, and input that the file calls valid in one
 * place and invalid in another.
 */
export async function judgeWycheproofCase({ files }: VectorCase): Promise<CaseVerdict> {
  const { algorithm = "", testGroups } = readWycheproofFile(files.get("vectors.json.gz") ?? new Uint8Array(0));
  const tests = testGroups.flatMap((group) => group.tests.map((test) => ({ group, test })));
  const contradicted = findContradictions(tests);
  const wrong: string[] = [];
  const told: string[] = [];
  for (const { group, test } of tests) {
    const answer = await answerOf(algorithm, group, test);
    if (test.result === "acceptable" || (answer === "accepted") === (test.result === "valid")) continue;
    const line = `${test.tcId} ${answer}, is ${test.result} (${String(test["comment"] ?? "").slice(0, 60)})`;
    const isTold = (test.result === "valid" && answer !== "refused") || contradicted.has(inputOf(group, test));
    (isTold ? told : wrong).push(line);
  }
  const reason = [...wrong, ...told].join("; ");
  return {
    isRight: wrong.length === 0,
    expected: `${tests.length} tests right`,
    found: `${tests.length - wrong.length - told.length} tests right, ${told.length} told`,
    ...(reason === "" ? {} : { reason }),
  };
}

/** `accepted`, `refused`, or the stricter rule that refused. */
async function answerOf(algorithm: string, group: WycheproofGroup, test: WycheproofTest): Promise<string> {
  try {
    const isAccepted = group.type.startsWith("JsonWeb")
      ? await isJoseTokenAccepted(group, test)
      : isPrimitiveTestAccepted(algorithm, group, test);
    return isAccepted ? "accepted" : "refused";
  } catch (error) {
    if (error instanceof StricterRule) return error.message;
    throw error;
  }
}

/** Inputs that occur with opposite results. */
function findContradictions(tests: readonly { readonly group: WycheproofGroup; readonly test: WycheproofTest }[]): ReadonlySet<string> {
  const results = new Map<string, string>();
  const contradicted = new Set<string>();
  for (const { group, test } of tests) {
    const input = inputOf(group, test);
    const earlier = results.get(input) ?? test.result;
    if (earlier !== test.result) contradicted.add(input);
    results.set(input, earlier);
  }
  return contradicted;
}

function inputOf(group: WycheproofGroup, test: WycheproofTest): string {
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
