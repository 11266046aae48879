import { type Claims, describeLag, type TcbStatus } from "@vouchsafe/attestation";
import { exceptionState, type PlatformException, type PlatformRules, type Tolerable } from "@vouchsafe/policy";
import type { PolicyRefusal } from "./policy-refusal.ts";

/** C-48: what a policy has to tolerate for each platform status; `never` cannot be tolerated. */
const NEEDED: Readonly<Record<TcbStatus, readonly Tolerable[] | "never">> = {
  UpToDate: [],
  SWHardeningNeeded: ["software-hardening-needed"],
  ConfigurationNeeded: ["insecure-configuration"],
  ConfigurationAndSWHardeningNeeded: ["software-hardening-needed", "insecure-configuration"],
  OutOfDate: ["outdated-tcb"],
  OutOfDateConfigurationNeeded: ["outdated-tcb", "insecure-configuration"],
  Revoked: "never",
  Unknown: "never",
};

/** Advisories that one `tolerate` value covers alone (C-48). */
const COVERED: Readonly<Record<string, Tolerable>> = {
  "INTEL-SA-00233": "hyperthreading",
  "INTEL-SA-00219": "insecure-igpu",
  "INTEL-SA-00657": "aepic-leak",
};

/** The part of a policy that judges the platform's state. */
export type PlatformTolerance = Pick<PlatformRules<never>, "tolerate" | "ignoreAdvisories" | "exceptions">;

/** What is judged: the platform's state, wherever it is known from. */
export type PlatformState = Pick<Claims, "debug" | "tcb" | "weaknesses">;

export interface PlatformAppraisal {
  /** Why the platform is refused, each with what would admit it; empty when it is accepted. */
  readonly problems: readonly PolicyRefusal[];
  /** Advisories that only the wildcard hid: each delivery that needed it is audited (SL-90). */
  readonly hiddenAdvisories: readonly string[];
  /** Exceptions without which it would be refused: audited, and shown with every delivery. */
  readonly exceptions: readonly PlatformException[];
}

/** Step "debug and platform state, advisories" of C-37. Exceptions count up to and including their last instant. */
export function appraisePlatform(state: PlatformState, rules: PlatformTolerance, now: Date): PlatformAppraisal {
  const strict = judge(state, rules);
  const isOver = (exception: PlatformException) => exceptionState(exception, now).state === "ended";
  const active = rules.exceptions.filter((exception) => !isOver(exception));
  if (strict.problems.length === 0) {
    return { ...strict, problems: [...strict.problems, ...endedReasons(state, rules, strict, isOver)], exceptions: [] };
  }
  const relaxed = judge(state, withExceptions(rules, active));
  if (relaxed.problems.length > 0) {
    return { ...relaxed, problems: [...relaxed.problems, ...endedReasons(state, rules, relaxed, isOver)], exceptions: [] };
  }
  const needed = active.filter((exception) => {
    const others = active.filter((other) => other !== exception);
    return judge(state, withExceptions(rules, others)).problems.length > 0;
  });
  return { ...relaxed, exceptions: needed.length === 0 ? active : needed }; // two that say the same: neither is needed alone
}

/** Names the exceptions that admitted the platform until they ended. */
function endedReasons(
  state: PlatformState,
  rules: PlatformTolerance,
  { problems }: Judgement,
  isOver: (exception: PlatformException) => boolean,
): readonly PolicyRefusal[] {
  const ended = rules.exceptions.filter(isOver);
  if (problems.length === 0 || judge(state, withExceptions(rules, rules.exceptions)).problems.length > 0) return [];
  return ended.map((exception) => ({
    path: [...RULES, "exceptions", rules.exceptions.indexOf(exception)],
    field: "exception",
    expected: `a day up to ${exception.until}`,
    found: "a later one",
    remedy: "Update the platform, or move the end of the exception, if its reason still holds.",
    message: `an exception that admitted it ended on ${exception.until}: ${exception.because}`,
  }));
}

type Judgement = Omit<PlatformAppraisal, "exceptions">;

function withExceptions(rules: PlatformTolerance, exceptions: readonly PlatformException[]): PlatformTolerance {
  const { ignoreAdvisories } = rules;
  return {
    ...rules,
    tolerate: [...rules.tolerate, ...exceptions.flatMap(({ tolerate }) => tolerate)],
    ignoreAdvisories: Array.isArray(ignoreAdvisories)
      ? [...ignoreAdvisories, ...exceptions.flatMap((exception) => exception.ignoreAdvisories)]
      : ignoreAdvisories,
  };
}

/** Where the rules stand in a policy. */
const RULES = ["security", "attestation"] as const;

/** What `tolerate` would have to name. `what` is the beginning of the sentence. */
const untolerated = (field: string, found: string, categories: readonly string[], what: string): PolicyRefusal => ({
  path: [...RULES, "tolerate"],
  field,
  expected: `nothing, or tolerate: ${categories.join(", ")}`,
  found,
  remedy: `Update or set up the platform, or tolerate: ${categories.join(", ")}.`,
  message: `${what}; tolerate: ${categories.join(", ")} would admit it`,
});

/** How far behind the platform is tells its owner whether an update is at hand. */
function untoleratedStatus(tcb: Claims["tcb"], categories: readonly string[]): PolicyRefusal {
  const lag = describeLag(tcb);
  const refusal = untolerated(
    "TCB status",
    tcb.status,
    categories,
    `the platform's status is ${tcb.status}${lag === undefined ? "" : ` (${lag})`}`,
  );
  return lag === undefined ? refusal : { ...refusal, remedy: `Update the platform (${lag}), or tolerate: ${categories.join(", ")}.` };
}

function judge({ debug, tcb, weaknesses = [] }: PlatformState, rules: PlatformTolerance): Judgement {
  const problems: PolicyRefusal[] = [];
  const tolerated = new Set<string>(rules.tolerate);
  if (debug && !tolerated.has("debug-mode"))
    problems.push(untolerated("debug", "debug mode", ["debug-mode"], "the program runs in debug mode"));
  if (weaknesses.length > 0 && !tolerated.has("insecure-configuration")) {
    const found = weaknesses.join("; ");
    problems.push(
      untolerated("configuration", found, ["insecure-configuration"], `the guest is less protected than it could be (${found})`),
    );
  }
  const { status, advisories } = tcb;
  const needed = NEEDED[status];
  if (needed === "never") problems.push(intolerable(status));
  else {
    const uncovered = advisories.filter((advisory) => !tolerated.has(COVERED[advisory] ?? ""));
    // A status that comes only from advisories with a `tolerate` value of their own needs no category.
    const isExplained = advisories.length > 0 && uncovered.length === 0;
    const missing = isExplained ? [] : needed.filter((category) => !tolerated.has(category));
    if (missing.length > 0) problems.push(untoleratedStatus(tcb, missing));
    if (rules.ignoreAdvisories === "*") return { problems, hiddenAdvisories: uncovered };
    const ignored = rules.ignoreAdvisories;
    const open = uncovered.filter((advisory) => !ignored.includes(advisory));
    if (open.length > 0) problems.push(unignored(open, ignored));
  }
  return { problems, hiddenAdvisories: [] };
}

const intolerable = (status: TcbStatus): PolicyRefusal => ({
  path: [...RULES, "tolerate"],
  field: "TCB status",
  expected: "UpToDate, or a status that can be tolerated",
  found: status,
  remedy: status === "Revoked" ? "Use another platform: no policy can tolerate this." : "Give the platform's collateral.",
  message: `the platform's status is ${status}, which no session can tolerate`,
});

const unignored = (hidden: readonly string[], ignored: readonly string[]): PolicyRefusal => ({
  path: [...RULES, "ignore_advisories"],
  field: "advisories",
  expected: ignored.length === 0 ? "none" : `none but ${ignored.join(", ")}`,
  found: hidden.join(", "),
  remedy: `Update the platform, or ignore_advisories: ${hidden.join(", ")}.`,
  message: `advisories apply to the platform; ignore_advisories: ${hidden.join(", ")} would admit it`,
});
