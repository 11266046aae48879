import { mapping } from "../mapping.ts";
import { list, literal, oneOf, quote, type Reader } from "../reader.ts";
import { PLATFORM_WEAKNESSES, type PlatformException } from "../session.ts";

const RULE = "SL-89";
const REASON_MAX = 500;

const weaknesses = list(oneOf(RULE, PLATFORM_WEAKNESSES), { rule: RULE, expected: "a list of weaknesses of the platform" });

const advisories = list(
  literal(
    RULE,
    "`INTEL-SA-` and five digits",
    (text, place, context) =>
      /^INTEL-SA-[0-9]{5}$/.test(text)
        ? text
        : context.error(place, {
            rule: RULE,
            message: quote(text),
            expected: "`INTEL-SA-` and five digits: an exception names what it is for",
          }),
    { type: "string", pattern: "^INTEL-SA-[0-9]{5}$" },
  ),
  { rule: RULE, expected: "a list of advisories" },
);

/** A day means its end in UTC. Gives the instant. */
const until: Reader<string> = literal(RULE, "a day or an instant", (text, place, context) => {
  const instant = /^[0-9]{4}-[0-9]{2}-[0-9]{2}$/.test(text) ? `${text}T23:59:59Z` : text;
  const time = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$/.test(instant) ? Date.parse(instant) : Number.NaN;
  if (!Number.isNaN(time) && new Date(time).toISOString() === `${instant.slice(0, -1)}.000Z`) return instant;
  return context.error(place, { rule: RULE, message: quote(text), expected: "e.g. `2027-01-31` or `2027-01-31T12:00:00Z`" });
});

const because: Reader<string> = literal(RULE, "a reason", (text, place, context) => {
  if (text.trim() !== "" && text.length <= REASON_MAX && !/[\u0000-\u001f\u007f]/.test(text)) return text;
  return context.error(place, { rule: RULE, message: "no reason", expected: `one line of at most ${REASON_MAX} characters that says why` });
});

const missing = (key: string) => ({
  rule: RULE,
  message: `\`${key}\` is missing`,
  expected: "`until` and `because`: an exception ends, and says why",
});

const platformException: Reader<PlatformException> = mapping(
  {
    tolerate: { reader: weaknesses, doc: "Weaknesses that are accepted until then." },
    ignore_advisories: { reader: advisories, doc: "Advisories that are ignored until then." },
    until: { reader: until, doc: "Last day (to its end in UTC) or last instant.", required: missing("until") },
    because: { reader: because, doc: "Why; shown wherever the exception counts.", required: missing("because") },
  } as const,
  { rule: RULE, expected: "a mapping with `tolerate`, `ignore_advisories`, `until`, `because`" },
  (raw, place, context) => {
    if (raw.until === undefined || raw.because === undefined) return undefined;
    const { tolerate = [], ignore_advisories: ignoreAdvisories = [] } = raw;
    if (tolerate.length === 0 && ignoreAdvisories.length === 0) {
      return context.error(place, {
        rule: RULE,
        message: "an exception from nothing",
        expected: "`tolerate`, `ignore_advisories` or both",
      });
    }
    return { tolerate: [...new Set(tolerate)], ignoreAdvisories: [...new Set(ignoreAdvisories)], until: raw.until, because: raw.because };
  },
);

/** Extension: weaknesses that are accepted for a time and for a reason. Placeholders are not allowed: people have to see what is accepted. */
export const platformExceptions: Reader<readonly PlatformException[]> = list(platformException, {
  rule: RULE,
  expected: "a list of exceptions, each with `until` and `because`",
});
