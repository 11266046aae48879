import type { CommandSpec } from "../../command-spec.ts";

/** The sub-commands of `evidence`. */
export const EVIDENCE_COMMANDS: readonly CommandSpec[] = [
  {
    name: "evidence check-vectors",
    summary: "Runs every case of a vector collection through the verifier and compares the answers.",
    operands: "DIR",
    minOperands: 1,
    maxOperands: 1,
    options: [
      { long: "json", summary: "print the findings as JSON" },
      { long: "help", summary: "this text" },
    ],
    examples: ["evidence check-vectors vectors", "evidence check-vectors vectors/sev-snp --json"],
    load: async () => (await import("./check-vectors.ts")).checkVectors,
  },
];
