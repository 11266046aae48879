import type { Platform, PlatformJudgement, Shortfall } from "@vouchsafe/attestation";
import type { ForecastOutcome } from "./forecast-from-provider.ts";
import type { ForecastCause } from "./forecast-platform.ts";

/** A forecast as JSON: what the CAS answers and the command line prints. */
export interface ForecastRow {
  readonly platform: string;
  readonly kind: Platform["kind"];
  /** FMSPC, or AMD's product. */
  readonly model: string;
  readonly daysLeft: number | null;
  /** RFC 3339. */
  readonly fallsOn: string | null;
  readonly cause: ForecastCause | null;
  readonly present: ForecastState | null;
  readonly newest: ForecastState | null;
  readonly shortfalls: readonly Shortfall[];
  /** Why there is no forecast. */
  readonly problem: string | null;
}

export interface ForecastState {
  readonly status: string;
  readonly advisories: readonly string[];
  readonly evaluationNumber: number;
}

export function describeForecast(outcome: ForecastOutcome): ForecastRow {
  if ("problem" in outcome) {
    const nothing = { daysLeft: null, fallsOn: null, cause: null, present: null, newest: null, shortfalls: [] };
    return { ...nameOf(outcome.platform), ...nothing, problem: outcome.problem };
  }
  const { platform, present, newest, evaluations, shortfalls, cause, fallsOn, daysLeft } = outcome.forecast;
  const state = (judged: PlatformJudgement | undefined, evaluationNumber: number | undefined): ForecastState | null =>
    judged === undefined ? null : { status: judged.tcb.status, advisories: judged.tcb.advisories, evaluationNumber: evaluationNumber ?? 0 };
  return {
    ...nameOf(platform),
    daysLeft,
    fallsOn: fallsOn.toISOString(),
    cause,
    present: state(present, evaluations?.present),
    newest: state(newest, evaluations?.newest),
    shortfalls,
    problem: null,
  };
}

const nameOf = (platform: Platform): Pick<ForecastRow, "platform" | "kind" | "model"> => ({
  platform: platform.id,
  kind: platform.kind,
  model: platform.kind === "snp" ? platform.product : platform.fmspc,
});
