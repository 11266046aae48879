import type { Improvement, TcbState } from "./tcb-state.ts";

/** For people: one fact a line; scripts look for `Intel QE ID: <32 hex>`. */
export function tcbStateLines(state: TcbState): readonly string[] {
  const { family, identifiers, securityVersions, status, advisories, levelDate, certificate, platform } = state;
  const day = (time: string | null) => time?.slice(0, 10);
  return [
    `platform family: ${family}`,
    ...Object.entries(identifiers).map(([name, value]) => `${name}: ${value}`),
    `TCB status: ${status}${levelDate === null ? "" : `, of the level of ${day(levelDate)}`}`,
    `advisories: ${advisories.length === 0 ? "none" : advisories.join(" ")}`,
    "security versions:",
    ...Object.entries(securityVersions).map(([name, value]) => `  ${name}: ${Array.isArray(value) ? value.join(" ") : value}`),
    ...improvementLines(`certificate${certificate.endsOn === null ? "" : ` (good until ${day(certificate.endsOn)})`}`, certificate),
    ...improvementLines("platform", platform),
  ];
}

function improvementLines(what: string, { improvable, how }: Improvement): readonly string[] {
  const verdict = improvable === null ? "not known whether it can be improved" : improvable ? "can be improved" : "cannot be improved";
  return [`${what}: ${verdict}`, ...how.map((sentence) => `  ${sentence}`)];
}
