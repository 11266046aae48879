import { CAS_TOLERANCES, type CasTolerance } from "@vouchsafe/protocol";
import { usage } from "../../parse-options.ts";

/** What is tolerated of the platform of a CAS, and options for tests that stood among the words. */
export interface Tolerations {
  readonly tolerate: readonly CasTolerance[];
  readonly testing: readonly string[];
}

/** Each word with what it tolerates: as the published tools write them, and as the options of `cas attest` are called. */
const WORDS: Readonly<Record<string, CasTolerance>> = {
  ...{ "configuration-needed": "configuration-needed", configuration: "configuration-needed", C: "configuration-needed" },
  ...{ "out-of-date": "out-of-date", "group-out-of-date": "out-of-date", G: "out-of-date" },
  ...{ "hardening-needed": "hardening-needed", "sw-hardening-needed": "hardening-needed", "software-hardening": "hardening-needed" },
  ...{ "software-hardening-needed": "hardening-needed", S: "hardening-needed" },
};
const TESTING = ["only_for_testing-debug", "only_for_testing-ignore-signer", "only_for_testing-trust-any"];
const NONE = "none";

/** Words between blanks or commas, each with or without `--accept-`, `--` or `-`; `none` alone tolerates nothing. Throws E-OPTION-VALUE. */
export function parseTolerations(text: string, source: string): Tolerations {
  const words = text.split(/[\s,]+/).filter((word) => word !== "");
  const [tolerate, testing] = [new Set<CasTolerance>(), new Set<string>()];
  for (const word of words) {
    const plain = word.replace(/^-{1,2}/, "").replace(/^accept-/, "");
    const tolerated = Object.hasOwn(WORDS, plain) ? WORDS[plain] : undefined;
    if (tolerated !== undefined) tolerate.add(tolerated);
    else if (TESTING.includes(plain)) testing.add(plain);
    else if (plain !== NONE || words.length > 1) {
      throw usage(
        "E-OPTION-VALUE",
        `${source} does not know ${JSON.stringify(word)}`,
        `Words are ${CAS_TOLERANCES.join(", ")}, or none alone; for tests ${TESTING.join(", ")}.`,
      );
    }
  }
  return { tolerate: [...tolerate], testing: [...testing] };
}
