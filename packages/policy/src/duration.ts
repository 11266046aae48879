const MONTH = 2_630_016;
const YEAR = 31_557_600;

/** Seconds per unit; `m` is minutes, `M` months (SL-18). */
const UNITS = new Map<string, number>([
  ["s", 1],
  ["sec", 1],
  ["second", 1],
  ["m", 60],
  ["min", 60],
  ["minute", 60],
  ["h", 3600],
  ["hr", 3600],
  ["hour", 3600],
  ["d", 86_400],
  ["day", 86_400],
  ["w", 604_800],
  ["week", 604_800],
  ["M", MONTH],
  ["month", MONTH],
  ["y", YEAR],
  ["year", YEAR],
]);

export type DurationReading = { readonly kind: "ok"; readonly seconds: number } | { readonly kind: "problem"; readonly message: string };

/** Ten thousand years: longer than any certificate may live. */
const MAX_SECONDS = 10_000 * YEAR;

/** Reads `90 days`, `1year 6months`, `24h` (SL-18). */
export function parseDuration(text: string): DurationReading {
  const problem = (message: string): DurationReading => ({ kind: "problem", message });
  const term = /\s*([0-9]{1,12})(?:\s*([A-Za-z]{1,12}))?/y;
  const trimmed = text.trimEnd();
  if (trimmed === "" || trimmed.length > 200) return problem("no duration");
  let seconds = 0;
  while (term.lastIndex < trimmed.length) {
    const match = term.exec(trimmed);
    if (match === null) return problem("no duration");
    const [, count = "", unit] = match;
    if (unit === undefined) return problem(`\`${trimmed.slice(0, 40)}\` has no unit`);
    const factor = UNITS.get(unit) ?? (unit.length > 2 && unit.endsWith("s") ? UNITS.get(unit.slice(0, -1)) : undefined);
    if (factor === undefined) return problem(`unknown unit \`${unit}\``);
    seconds += Number(count) * factor;
  }
  if (seconds === 0) return problem("a duration of zero");
  if (seconds > MAX_SECONDS) return problem("longer than 10 000 years");
  return { kind: "ok", seconds };
}
