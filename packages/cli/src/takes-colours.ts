/**
 * Whether standard error gets colours (CL-10): on a terminal that is not dumb, unless `--no-color` or a non-empty `NO_COLOR` says otherwise; without a
 * terminal where `FORCE_COLOR` asks for them.
 */
export function takesColours(environment: Readonly<Record<string, string | undefined>>, isTerminal: boolean, noColour: boolean): boolean {
  if (noColour || (environment["NO_COLOR"] ?? "") !== "") return false;
  const forced = environment["FORCE_COLOR"];
  if (forced !== undefined) return forced !== "0" && forced !== "false";
  return isTerminal && environment["TERM"] !== "dumb";
}
