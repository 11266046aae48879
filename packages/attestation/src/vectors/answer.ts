import { EvidenceError } from "../core/errors.ts";
import type { CaseVerdict, VectorCase } from "./vector-case.ts";

/** What the library says about a piece of Evidence. */
export interface Answer {
  /** `ok`, or the class of the first failed check. */
  readonly outcome: string;
  readonly detail?: string;
  /** What only verified Evidence says. Compared with the members of `expected.json` that have the same name, where they say something. */
  readonly facts?: Readonly<Record<string, unknown>>;
}

/** What a parser reads in a piece of Evidence, whether it verifies or not. */
export type Fields = Readonly<Record<string, unknown>>;

/** Runs a verification and turns its refusal into an answer. What is no EvidenceError is a bug and passes. */
export function answerOf(verify: () => Answer): Answer {
  try {
    return verify();
  } catch (error) {
    if (error instanceof EvidenceError) return { outcome: error.reason, detail: error.message };
    throw error;
  }
}

/** The fields that a parser gives; none where the Evidence cannot be parsed. What is no EvidenceError is a bug and passes. */
export function fieldsOf(read: () => Fields): Fields {
  try {
    return read();
  } catch (error) {
    if (error instanceof EvidenceError) return {};
    throw error;
  }
}

/** Compares an answer with `expect` and its alternatives, and with every field and fact that the case names. */
export function judgeAnswer({ expected }: VectorCase, { outcome, facts = {}, detail }: Answer, fields: Fields): CaseVerdict {
  const wanted = [expected["expect"], ...(Array.isArray(expected["alternatives"]) ? expected["alternatives"] : [])].filter(
    (name): name is string => typeof name === "string",
  );
  const isOutcomeRight = wanted.includes(outcome) || wanted[0] === "fields only";
  const differing = isOutcomeRight ? [...differences(expected["fields"] ?? {}, fields, ""), ...differingFacts(expected, facts)] : [];
  return {
    isRight: isOutcomeRight && differing.length === 0,
    expected: wanted.join(" or "),
    found: differing.length > 0 ? `${outcome} with other fields` : outcome,
    ...(differing.length > 0 ? { reason: differing.join("; ") } : detail === undefined ? {} : { reason: detail }),
  };
}

/** Judges as the case says and, where it says what holds `when_debug_allowed`, also that. `verify` is told whether debug mode is refused. */
export function judgeBothWays(vectorCase: VectorCase, fields: Fields, verify: (isDebugRefused: boolean) => Answer): CaseVerdict {
  const tolerant = vectorCase.expected["when_debug_allowed"];
  // Cases without that member do not speak about debug at all, and some of their Evidence comes from debug guests.
  const verdict = judgeAnswer(
    vectorCase,
    answerOf(() => verify(isRecord(tolerant))),
    fields,
  );
  if (!verdict.isRight || !isRecord(tolerant)) return verdict;
  return judgeAnswer(
    { ...vectorCase, expected: tolerant },
    answerOf(() => verify(false)),
    {},
  );
}

function differences(expected: unknown, found: unknown, path: string): readonly string[] {
  if (isRecord(expected) && isRecord(found)) {
    return Object.keys(expected).flatMap((name) => differences(expected[name], found[name], path === "" ? name : `${path}.${name}`));
  }
  const [a, b] = [spell(expected), spell(found)];
  return a === b ? [] : [`${path}: expected ${a.slice(0, 100)}, found ${b.slice(0, 100)}`];
}

/** Facts that the case leaves open (null) are not compared. */
function differingFacts(expected: VectorCase["expected"], facts: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.entries(facts).flatMap(([name, found]) =>
    (expected[name] ?? null) === null ? [] : differences(expected[name], found, name),
  );
}

const spell = (value: unknown): string => (JSON.stringify(value) ?? "nothing").toLowerCase();
export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
