import type { ForecastRow } from "@vouchsafe/collateral";

/** A service whose policy refuses the platform under the newest collateral. */
export interface ServiceRefusal {
  readonly service: string;
  readonly reasons: readonly string[];
}

export type ShownForecast = ForecastRow & { readonly refusedBy: readonly ServiceRefusal[] };

const CAUSES = {
  "out-of-date": "it is out of date now",
  recovery: "Intel's early set says so; the standard set follows about six weeks after the event",
  certificate: "its certificate ends",
} as const;

/** A platform in a few lines: when, why, what is short, who would refuse. */
export function forecastLines(row: ShownForecast): readonly string[] {
  const { platform, kind, model, daysLeft, fallsOn, cause, present, newest, shortfalls, refusedBy, problem } = row;
  if (problem !== null || cause === null) return [`${platform} (${kind} ${model})`, `  no forecast: ${problem ?? "nothing is known"}`];
  const when = daysLeft === 0 ? "0 days left" : `${daysLeft} days left, until ${fallsOn?.slice(0, 10)}`;
  const state = (name: string, given: typeof present) =>
    given === null
      ? []
      : [`  ${name} ${given.status} (evaluation ${given.evaluationNumber})${given.advisories.map((id) => ` ${id}`).join("")}`];
  return [
    `${platform} (${kind} ${model})`,
    `  ${when}: ${CAUSES[cause]}`,
    ...state("now   ", present),
    ...state("newest", newest),
    ...shortfalls.map(({ component, found, needed }) => `  short:  ${component} has ${found}, needs ${needed}`),
    ...refusedBy.map(({ service, reasons }) => `  refused by ${service}: ${reasons.join("; ")}`),
  ];
}
