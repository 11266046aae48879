import { Gauge, type Registry } from "prom-client";
import type { CasCollateral } from "./cas-collateral.ts";

/**
 * Age and end of every document but AMD's single chips, which are only counted: a metric for each machine would be too many. The forecast is
 * told by day classes, so that an alarm needs one expression.
 */
export function collateralMetrics(registry: Registry, collateral: CasCollateral): void {
  const documents = () => collateral.provider.status().filter(({ key }) => !/^amd\/vcek\/[A-Za-z]+\/[0-9a-f]{16}/.test(key));
  const registers = [registry];
  const age: Gauge<"document"> = new Gauge({
    name: "vouchsafe_cas_collateral_age_seconds",
    help: "Time since a document was fetched",
    labelNames: ["document"],
    registers,
    collect: () => each(age, ({ fetchedAt }) => (collateral.now().getTime() - fetchedAt.getTime()) / 1000),
  });
  const left: Gauge<"document"> = new Gauge({
    name: "vouchsafe_cas_collateral_expires_in_seconds",
    help: "Time until a document may no longer be used",
    labelNames: ["document"],
    registers,
    collect: () => each(left, ({ goodUntil }) => (goodUntil.getTime() - collateral.now().getTime()) / 1000),
  });
  const problems: Gauge = new Gauge({
    name: "vouchsafe_cas_collateral_problems",
    help: "Documents whose last refresh failed",
    registers,
    collect: () => problems.set(collateral.provider.status().filter(({ problem }) => problem !== undefined).length),
  });
  const platforms: Gauge = new Gauge({
    name: "vouchsafe_cas_platforms",
    help: "Platforms that proved themselves to this CAS",
    registers,
    collect: () => platforms.set(collateral.platforms.list().length),
  });
  const falling: Gauge<"days"> = new Gauge({
    name: "vouchsafe_cas_platforms_out_of_date_within",
    help: "Platforms that are or fall out of date within so many days, under the newest collateral",
    labelNames: ["days"],
    registers,
    collect() {
      const outcomes = collateral.latestForecast;
      for (const days of [0, 7, 30, 90]) {
        const count = outcomes.filter(({ outcome }) => "forecast" in outcome && outcome.forecast.daysLeft <= days).length;
        falling.set({ days: String(days) }, count);
      }
    },
  });

  function each(gauge: Gauge<"document">, value: (document: { readonly fetchedAt: Date; readonly goodUntil: Date }) => number): void {
    gauge.reset();
    for (const { key, document } of documents()) if (document !== undefined) gauge.set({ document: key }, value(document));
  }
}
