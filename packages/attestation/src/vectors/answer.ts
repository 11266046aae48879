import { EvidenceError } from "../core/errors.ts";
import type { CaseVerdict, VectorCase } from "./vector-case.ts";

/** What the library says about a piece of Evidence: `ok`, or the class of the first failed check, and the fields it read. */
export interface Answer {
  readonly outcome: string;
  /** Compared with the members of `fields` that have the same name. */
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly detail?: string;
}

/** Runs a verification and turns its refusal into an answer. What is no EvidenceError is a bug and passes. */
export function answerOf(verify: () => Answer): Answer {
  try {
    return verify();
  } catch (error) {
    if (error instanceof EvidenceError) return { outcome: error.reason, detail: error.message };
    throw error;
  }
}

/** Compares an answer with `expect`, its alternatives, and every field that both sides have. */
export function judgeAnswer({ expected }: VectorCase, { outcome, fields = {}, detail }: Answer): CaseVerdict {
  const wanted = [expected["expect"], ...(Array.isArray(expected["alternatives"]) ? expected["alternatives"] : [])].filter(
    (name): name is string => typeof name === "string",
  );
  const isOutcomeRight = wanted.includes(outcome) || wanted[0] === "fields only";
  const differing = isOutcomeRight ? differences(expected["fields"], fields, "") : [];
  return {
    isRight: isOutcomeRight && differing.length === 0,
    expected: wanted.join(" or "),
    found: differing.length > 0 ? `${outcome} with other fields` : outcome,
    ...(differing.length > 0 ? { reason: differing.join("; ") } : detail === undefined ? {} : { reason: detail }),
  };
}

/** Judges as the case says and, where it says what holds `when_debug_allowed`, also that. `verify` is told whether debug mode is refused. */
export function judgeBothWays(vectorCase: VectorCase, verify: (isDebugRefused: boolean) => Answer): CaseVerdict {
  const tolerant = vectorCase.expected["when_debug_allowed"];
  // Cases without that member do not speak about debug at all, and some of their Evidence comes from debug guests.
  const verdict = judgeAnswer(
    vectorCase,
    answerOf(() => verify(isRecord(tolerant))),
  );
  if (!verdict.isRight || !isRecord(tolerant)) return verdict;
  const { fields } = vectorCase.expected;
  return judgeAnswer(
    { ...vectorCase, expected: { ...tolerant, fields } },
    answerOf(() => verify(false)),
  );
}

function differences(expected: unknown, found: unknown, path: string): readonly string[] {
  if (isRecord(expected) && isRecord(found)) {
    const common = Object.keys(found).filter((name) => name in expected);
    return common.flatMap((name) => differences(expected[name], found[name], path === "" ? name : `${path}.${name}`));
  }
  const [a, b] = [spell(expected), spell(found)];
  return a === b || expected === undefined ? [] : [`${path}: expected ${a.slice(0, 100)}, found ${b.slice(0, 100)}`];
}

const spell = (value: unknown): string => (JSON.stringify(value) ?? "nothing").toLowerCase();
const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
