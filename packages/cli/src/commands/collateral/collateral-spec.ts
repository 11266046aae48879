import type { CommandSpec, OptionSpec } from "../../command-spec.ts";

const HELP: OptionSpec = { long: "help", summary: "this text" };
const JSON_OUTPUT: OptionSpec = { long: "json", summary: "print the result as JSON" };

const EVIDENCE_MAX = 1000;

/** Where documents come from, and what they are verified with. */
const SOURCES: readonly OptionSpec[] = [
  { long: "bundle", value: "FILE", isRepeatable: true, summary: "a bundle of documents, asked first" },
  {
    long: "intel",
    value: "URL",
    isRepeatable: true,
    summary: "Intel's service or a PCCS (default: https://api.trustedservices.intel.com)",
  },
  { long: "amd", value: "URL", isRepeatable: true, summary: "AMD's service or a cache of it (default: https://kdsintf.amd.com)" },
  { long: "ca", value: "FILE", summary: "PEM of the authority that certifies these servers (default: the public ones)" },
  { long: "cache", value: "DIR", summary: "cache directory (default: vouchsafe/collateral below XDG_CACHE_HOME)" },
  { long: "offline", summary: "ask nobody: bundles and cache only" },
  { long: "root", value: "FILE", isRepeatable: true, summary: "trust this root instead of the vendors': certificate, PEM or DER" },
  { long: "at", value: "TIME", summary: "verify as of this time (default: now)" },
];

/** The sub-commands of `collateral`. */
export const COLLATERAL_COMMANDS: readonly CommandSpec[] = [
  {
    name: "collateral fetch",
    summary: "Fetches what the vendors publish about the platforms of evidence files, verifies it and keeps it in the cache.",
    operands: "EVIDENCE...",
    minOperands: 1,
    maxOperands: EVIDENCE_MAX,
    options: [...SOURCES, JSON_OUTPUT, HELP],
    examples: ["collateral fetch quote.bin report.bin", "collateral fetch quote.bin --intel https://pccs.example:8081 --ca pccs.pem"],
    notes: "Intel's early and standard sets are both fetched. Addresses are never taken from evidence.",
    load: async () => (await import("./fetch.ts")).collateralFetch,
  },
  {
    name: "collateral bundle",
    summary: "Writes everything that evidence files need into one file, for machines without a network.",
    operands: "EVIDENCE...",
    minOperands: 1,
    maxOperands: EVIDENCE_MAX,
    options: [{ long: "output", short: "o", value: "FILE", summary: "the bundle (default: collateral.json)" }, ...SOURCES, HELP],
    examples: ["collateral bundle -o collateral.json quote.bin report.bin", "collateral bundle --bundle old.json -o new.json quote.bin"],
    notes: "Give the file to a CAS (--collateral-bundle, or bundles in its [collateral] section) or to evidence verify (--collateral).",
    load: async () => (await import("./bundle.ts")).collateralBundle,
  },
  {
    name: "collateral show",
    summary: "Lists the documents of a bundle or a cache directory, each verified anew.",
    operands: "FILE|DIR",
    minOperands: 1,
    maxOperands: 1,
    options: [...SOURCES.filter(({ long }) => long === "root" || long === "at"), JSON_OUTPUT, HELP],
    examples: ["collateral show collateral.json", "collateral show ~/.cache/vouchsafe/collateral --json"],
    notes: "Exits 3 when a document is not acceptable now.",
    load: async () => (await import("./show.ts")).collateralShow,
  },
  {
    name: "collateral forecast",
    summary: "Says when platforms fall out of date, which component is short by how much, and which policies refuse them then.",
    operands: "[EVIDENCE...]",
    maxOperands: EVIDENCE_MAX,
    options: [
      { long: "cas", value: "CAS", summary: "without evidence: the CAS whose platforms are shown (default: the default CAS; owner only)" },
      { long: "identity", value: "FILE", summary: "client identity to use with the CAS: PEM key followed by certificate" },
      {
        long: "policy",
        value: "FILE",
        isRepeatable: true,
        summary: "with evidence: a session whose services are to accept these platforms",
      },
      { long: "fail-within", value: "DAYS", summary: "exit 3 when a platform falls within so many days" },
      ...SOURCES,
      JSON_OUTPUT,
      HELP,
    ],
    examples: [
      "collateral forecast",
      "collateral forecast --bundle collateral.json --offline quote.bin --policy session.yaml",
      "collateral forecast --fail-within 30 --json",
    ],
    load: async () => (await import("./forecast.ts")).collateralForecast,
  },
];
