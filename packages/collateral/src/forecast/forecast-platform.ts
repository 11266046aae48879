import {
  type IntelDocuments,
  type IntelPlatform,
  judgeIntelPlatform,
  type Platform,
  type PlatformJudgement,
  type Shortfall,
} from "@vouchsafe/attestation";

/** Why a platform falls out of date first. `recovery`: Intel's newest set already says so, the standard set will follow. */
export type ForecastCause = "out-of-date" | "recovery" | "certificate";

export interface PlatformForecast {
  readonly platform: Platform;
  /** Under the set that the relying party uses, and under Intel's newest one. Undefined for kinds without TCB levels, and without documents. */
  readonly present: PlatformJudgement | undefined;
  readonly newest: PlatformJudgement | undefined;
  /** TCB evaluation numbers of the two sets. */
  readonly evaluations: { readonly present: number; readonly newest: number } | undefined;
  /** What it lacks under the newest set. */
  readonly shortfalls: readonly Shortfall[];
  readonly cause: ForecastCause;
  /** Day on which it falls out of date, as far as can be said today. */
  readonly fallsOn: Date;
  /** Whole days until then; 0 once it has. */
  readonly daysLeft: number;
}

export interface ForecastInputs {
  readonly present: IntelDocuments;
  readonly newest: IntelDocuments;
}

/** Intel's standard set follows a recovery event about six weeks after the early one (PCS API v4, parameter `update`). */
export const STANDARD_DELAY_DAYS = 42;
const DAY_MS = 86_400_000;

/**
 * Says when a platform falls out of date. The day of a recovery is an estimate: date of the newest TCB level, plus the delay of the standard
 * set; where that is past already, it can be any day. Pure: the same inputs give the same forecast.
 */
export function forecastPlatform(platform: Platform, documents: ForecastInputs | undefined, now: Date): PlatformForecast {
  const certificateEnds = new Date(platform.certifiedUntil);
  const upTo = (fallsOn: Date, cause: ForecastCause) => {
    const [first, why] = certificateEnds < fallsOn ? [certificateEnds, "certificate" as const] : [fallsOn, cause];
    const at = first < now ? now : first;
    return { cause: why, fallsOn: at, daysLeft: Math.floor((at.getTime() - now.getTime()) / DAY_MS) };
  };
  if (platform.kind === "snp" || documents === undefined) {
    const none = { present: undefined, newest: undefined, evaluations: undefined, shortfalls: [] };
    return { platform, ...none, ...upTo(certificateEnds, "certificate") };
  }
  return { platform, ...forecastIntel(platform, documents, now, upTo, certificateEnds) };
}

function forecastIntel(
  platform: IntelPlatform,
  { present, newest }: ForecastInputs,
  now: Date,
  upTo: (fallsOn: Date, cause: ForecastCause) => Pick<PlatformForecast, "cause" | "fallsOn" | "daysLeft">,
  certificateEnds: Date,
): Omit<PlatformForecast, "platform"> {
  const [today, coming] = [judgeIntelPlatform(platform, present), judgeIntelPlatform(platform, newest)];
  const judged = {
    present: today,
    newest: coming,
    evaluations: { present: present.tcbInfo.tcbEvaluationDataNumber, newest: newest.tcbInfo.tcbEvaluationDataNumber },
    shortfalls: coming.shortfalls,
  };
  if (isFallen(today)) return { ...judged, cause: "out-of-date", fallsOn: now, daysLeft: 0 };
  if (isFallen(coming)) return { ...judged, ...upTo(new Date(newestLevelDate(newest) + STANDARD_DELAY_DAYS * DAY_MS), "recovery") };
  return { ...judged, ...upTo(certificateEnds, "certificate") };
}

/** Out of date, revoked, or without any level that fits. */
export function isFallen({ tcb }: PlatformJudgement): boolean {
  return tcb.status.startsWith("OutOfDate") || tcb.status === "Revoked" || tcb.status === "Unknown";
}

function newestLevelDate({ tcbInfo, qeIdentity }: IntelDocuments): number {
  const levels = [...tcbInfo.levels, ...tcbInfo.tdxModuleIdentities.flatMap((module) => module.levels), ...qeIdentity.levels];
  return Math.max(...levels.map(({ date }) => date.getTime()));
}
