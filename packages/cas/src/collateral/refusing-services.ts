import { type Shortfall, snpShortfalls } from "@vouchsafe/attestation";
import type { ForecastOutcome, PlatformForecast } from "@vouchsafe/collateral";
import { type CasContext, committedValues } from "../cas-context.ts";
import { appraisePlatform } from "../service/appraise-platform.ts";
import { messagesOf } from "../service/policy-refusal.ts";
import { readServiceRules, type ServiceRules } from "../service/service-rules.ts";
import { currentKey, type SessionVersion } from "../sessions/session-records.ts";
import { resolveSecrets } from "../values/resolve-secrets.ts";
import { ValueError } from "../values/secret-source.ts";

export interface ServiceRefusal {
  readonly service: string;
  readonly reasons: readonly string[];
}

/**
 * Which of the services that ran on a platform would refuse it once the newest collateral counts, by the rules of their present policies and
 * the same appraisal.
 */
export async function refusingServices(
  context: CasContext,
  services: readonly string[],
  outcome: ForecastOutcome,
): Promise<readonly ServiceRefusal[]> {
  if ("problem" in outcome) return [];
  const refusals: ServiceRefusal[] = [];
  for (const service of services) {
    const rules = await findRules(context, service);
    const reasons = rules === undefined ? [] : refusalReasons(outcome.forecast, rules);
    if (reasons.length > 0) refusals.push({ service, reasons });
  }
  return refusals;
}

/**
 * Why a service would refuse the platform once the newest collateral counts; empty when it would not, or has nothing to do with its kind.
 * Exceptions are judged on the day on which the platform falls.
 */
export function refusalReasons(
  { platform, newest, fallsOn }: PlatformForecast,
  { security, variants }: Pick<ServiceRules, "security" | "variants">,
): readonly string[] {
  const { attestation } = security;
  if (attestation.mode === "none" || !attestation.evidence.includes(platform.kind)) return [];
  if (platform.kind !== "snp")
    return newest === undefined ? [] : messagesOf(appraisePlatform({ debug: false, tcb: newest.tcb }, attestation, fallsOn).problems);
  // Variants for other hardware admit no SNP guest, and their least versions count other parts.
  const missing = variants
    .filter((variant) => variant.kind !== "ok" || (variant.value.hardware?.kind ?? "snp") === "snp")
    .map((variant) => (variant.kind === "ok" ? snpShortfalls(platform, variant.value.hardware?.minimumTcb ?? {}) : []));
  const [first = []] = missing;
  return missing.every(({ length }) => length > 0) ? first.map(shortfallText) : [];
}

const shortfallText = ({ component, found, needed }: Shortfall): string => `${component} is ${found}, the policy asks for ${needed}`;

/** Undefined for a service that no longer exists, or whose rules cannot be resolved: nothing is known of it. */
async function findRules(context: CasContext, name: string): Promise<ServiceRules | undefined> {
  const at = name.lastIndexOf("/");
  const version = await context.database.get<SessionVersion>(currentKey(name.slice(0, at)));
  const service = version?.session.services.find((candidate) => candidate.name === name.slice(at + 1));
  if (version === undefined || service === undefined) return undefined;
  try {
    const secrets = await resolveSecrets(committedValues(context), version, context.now());
    return readServiceRules(version.session, service, { ...secrets, made: new Map() });
  } catch (error) {
    if (error instanceof ValueError) return undefined;
    throw error;
  }
}
