import { randomInt } from "node:crypto";
import type { Collateral, Evidence, Platform, TrustAnchors, VerificationContext } from "@vouchsafe/attestation";
import {
  type CollateralEvent,
  CollateralProvider,
  type CollateralSource,
  collateralFor,
  DiskCache,
  type ForecastOutcome,
  forecastFromProvider,
  forwardClock,
  intelSource,
  type TcbUpdate,
} from "@vouchsafe/collateral";
import type { CasContext } from "../cas-context.ts";
import type { Subscription } from "../config/owner-config.ts";
import type { Log } from "../log-line.ts";
import { type SeenPlatform, SeenPlatforms } from "./seen-platforms.ts";
import { openStoredFloors } from "./stored-floors.ts";

/** How a CAS comes by what vendors publish. */
export interface CollateralOptions {
  /** In the order in which they are asked. */
  readonly sources: readonly CollateralSource[];
  /** The operator wants nobody to be asked, the owner's service neither. */
  readonly isOffline?: boolean | undefined;
  /** Keeps documents between runs; nothing in it is trusted. */
  readonly cacheDirectory?: string | undefined;
  /** Which set of Intel's decides; `standard` unless given. Forecasts look at the early one too. */
  readonly update?: TcbUpdate | undefined;
  /** Age at which TCB Info and QE identity say nothing any more (C-49); 30 unless given. */
  readonly maxAgeDays?: number | undefined;
  /** A day unless given. */
  readonly refreshIntervalMs?: number | undefined;
}

/** A platform that was seen, and what becomes of it. */
export interface SeenForecast {
  readonly seen: SeenPlatform;
  readonly outcome: ForecastOutcome;
}

/** Sources that the owner's configuration brings; it may change at any time. */
interface Subscribed {
  readonly isOffline: boolean;
  sources: readonly CollateralSource[];
}

const LOOK_EVERY_MS = 60_000;
const FORECAST_EVERY_MS = 3_600_000;
const RANDOM_STEPS = 1_000_000;

/** Endorsements of this CAS: finds what Evidence needs, refreshes it, and looks ahead for every platform that was seen. */
export class CasCollateral implements Disposable {
  readonly provider: CollateralProvider;
  readonly platforms: SeenPlatforms;
  /** Never goes back: for every judgement that depends on dates (hazard B9). */
  readonly now: () => Date;
  readonly update: TcbUpdate;
  readonly #subscribed: Subscribed;
  readonly #anchors: TrustAnchors;
  readonly #log: Log;
  readonly #timers = new DisposableStack();
  #latest: { readonly at: Date; readonly outcomes: readonly SeenForecast[] } = { at: new Date(0), outcomes: [] };

  private constructor(
    parts: Pick<CasCollateral, "provider" | "platforms" | "update" | "now">,
    subscribed: Subscribed,
    anchors: TrustAnchors,
    log: Log,
  ) {
    const { provider, platforms, update, now } = parts;
    this.provider = provider;
    this.platforms = platforms;
    this.update = update;
    this.now = now;
    this.#subscribed = subscribed;
    this.#anchors = anchors;
    this.#log = log;
    this.#timers.use(provider.start(LOOK_EVERY_MS));
    const timer = setInterval(() => this.#lookAhead(), LOOK_EVERY_MS).unref();
    this.#timers.defer(() => clearInterval(timer));
  }

  /** Throws CollateralError COLLATERAL_CACHE. */
  static async open(
    { database, log, now: wallClock }: CasContext,
    anchors: TrustAnchors,
    options: CollateralOptions,
    onEvent: (event: CollateralEvent) => void,
  ): Promise<CasCollateral> {
    const { sources, isOffline = false, cacheDirectory, update = "standard", maxAgeDays, refreshIntervalMs } = options;
    const now = forwardClock(wallClock);
    const subscribed: Subscribed = { isOffline, sources: [] };
    const provider = new CollateralProvider({
      // What is at hand first: a subscription counts its requests.
      get sources() {
        return [...sources, ...subscribed.sources];
      },
      anchors,
      floors: await openStoredFloors(database),
      store: cacheDirectory === undefined ? undefined : await DiskCache.open(cacheDirectory),
      now,
      random: () => randomInt(RANDOM_STEPS) / RANDOM_STEPS,
      maxAgeDays,
      refreshIntervalMs,
      onEvent: (event) => {
        onEvent(event);
        if (event.outcome !== "fetched" && event.outcome !== "absent") {
          log.warn(`collateral: ${event.source} ${event.outcome} ${event.key}: ${event.message ?? ""}`);
        }
      },
    });
    return new CasCollateral({ provider, platforms: await SeenPlatforms.open(database), update, now }, subscribed, anchors, log);
  }

  /** From now on the owner's service is asked too, after all others; undefined: none. Its key goes nowhere else, and into no log. */
  subscribe(subscription: Subscription | undefined): void {
    if (subscription === undefined || this.#subscribed.isOffline) this.#subscribed.sources = [];
    else this.#subscribed.sources = [intelSource(subscription.url, { ca: subscription.serverCa, subscriptionKey: subscription.key })];
    this.provider.forgetFailures();
  }

  /** Throws EvidenceError, CollateralError. */
  find(evidence: Evidence, context: Omit<VerificationContext, "collateral">): Promise<Collateral> {
    return collateralFor(this.provider, evidence, { update: this.update, context });
  }

  /** Does not wait; a failure is logged and nobody is refused for it. */
  notePlatform(platform: Platform, service: string): void {
    this.platforms.note(platform, service, this.now()).catch((error: Error) => this.#log.warn(`platform register: ${error.message}`));
  }

  /** As last made, in the background or by request: does not ask anybody. */
  get latestForecast(): readonly SeenForecast[] {
    return this.#latest.outcomes;
  }

  /** Every platform seen, judged by the present and the newest documents; one after the other, as there may be thousands. */
  async forecastAll(): Promise<readonly SeenForecast[]> {
    const settings = { provider: this.provider, anchors: this.#anchors, update: this.update, now: this.now() };
    const outcomes: SeenForecast[] = [];
    for (const seen of this.platforms.list()) outcomes.push({ seen, outcome: await forecastFromProvider(seen.platform, settings) });
    this.#latest = { at: settings.now, outcomes };
    return outcomes;
  }

  [Symbol.dispose](): void {
    this.#timers.dispose();
  }

  #lookAhead(): void {
    const { at, outcomes } = this.#latest;
    const isOld = this.now().getTime() - at.getTime() > FORECAST_EVERY_MS;
    if (!isOld && outcomes.length === this.platforms.list().length) return;
    this.forecastAll().catch((error: Error) => this.#log.warn(`forecast: ${error.message}`));
  }
}
