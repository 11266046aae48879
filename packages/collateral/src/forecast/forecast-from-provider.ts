import {
  type IntelDocuments,
  type IntelPlatform,
  type Platform,
  type TrustAnchors,
  verifyQeIdentity,
  verifyTcbInfo,
} from "@vouchsafe/attestation";
import { CollateralError } from "../collateral-error.ts";
import type { TcbUpdate } from "../collateral-request.ts";
import type { CollateralProvider } from "../provider/collateral-provider.ts";
import { forecastPlatform, type PlatformForecast } from "./forecast-platform.ts";

export interface ForecastSettings {
  readonly provider: CollateralProvider;
  readonly anchors: TrustAnchors;
  /** The set that decides today. */
  readonly update: TcbUpdate;
  readonly now: Date;
}

/** A forecast, or why there is none. */
export type ForecastOutcome = { readonly forecast: PlatformForecast } | { readonly platform: Platform; readonly problem: string };

/** Fetches both sets for the platform and judges it. A platform whose documents cannot be had is told with the reason, not left out. */
export async function forecastFromProvider(platform: Platform, settings: ForecastSettings): Promise<ForecastOutcome> {
  if (platform.kind === "snp") return { forecast: forecastPlatform(platform, undefined, settings.now) };
  try {
    const [present, newest] = await Promise.all([
      documentsOf(platform, settings, settings.update),
      documentsOf(platform, settings, "early").catch((error: unknown) => {
        if (error instanceof CollateralError && settings.update === "standard") return undefined; // a source without the early set
        throw error;
      }),
    ]);
    return { forecast: forecastPlatform(platform, { present, newest: newest ?? present }, settings.now) };
  } catch (error) {
    if (!(error instanceof CollateralError)) throw error;
    return { platform, problem: error.message };
  }
}

async function documentsOf(
  platform: IntelPlatform,
  { provider, anchors, now }: ForecastSettings,
  update: TcbUpdate,
): Promise<IntelDocuments> {
  const { kind: tee, fmspc } = platform;
  const [tcbInfo, qeIdentity] = await Promise.all([
    provider.get({ kind: "tcb-info", tee, fmspc, update }),
    provider.get({ kind: "qe-identity", tee, update }),
  ]);
  const roots = anchors[tee] ?? [];
  const none = new Uint8Array(); // a document of either kind was verified with its chain
  return {
    tcbInfo: verifyTcbInfo(tcbInfo.body, tcbInfo.chain ?? none, roots, { now }).value,
    qeIdentity: verifyQeIdentity(qeIdentity.body, qeIdentity.chain ?? none, roots, { now }).value,
  };
}
