import type { OptionSpec } from "../../command-spec.ts";

/** Options of commands that talk to a CAS (C-56). */
export const CAS_OPTIONS: readonly OptionSpec[] = [
  { long: "cas", short: "c", value: "CAS", summary: "an attested CAS, by name or address (default: the default one)" },
  { long: "identity", value: "FILE", summary: "PEM key and certificate to use instead of the own identity" },
  { long: "retries", value: "N", summary: "repetitions after network errors (default: SCONE_CLI_RETRIES or 3)" },
];

/** Options of commands that read a session file (SL-24). */
export const DOCUMENT_OPTIONS: readonly OptionSpec[] = [
  { short: "e", value: "VAR=VALUE", isRepeatable: true, summary: "value of a template variable" },
  { long: "use-env", summary: "take template variables from the environment too" },
  { long: "name", short: "n", value: "NAME", summary: "name of the session instead of the one in the file" },
  { long: "fail-on-warning", summary: "exit with 3 when there were only warnings" },
];

export const OUTPUT_OPTIONS: readonly OptionSpec[] = [
  { long: "output", short: "o", value: "FILE", summary: "write the result to this file instead of standard output" },
  { long: "help", summary: "this text" },
];
