import type { CommandSpec } from "../../command-spec.ts";
import { CORIM_OPTION, POLICY_OPTIONS, REFERENCE_OPTIONS, VERIFY_OPTIONS } from "./verify-options.ts";

/** The sub-commands of `evidence`. */
export const EVIDENCE_COMMANDS: readonly CommandSpec[] = [
  {
    name: "evidence inspect",
    summary: "Shows what a quote, report, document or event log says, without verifying it.",
    operands: "FILE|-",
    minOperands: 1,
    maxOperands: 1,
    options: [
      { long: "json", summary: "print everything as JSON" },
      { long: "help", summary: "this text" },
    ],
    examples: ["evidence inspect quote.bin", "base64 -d < report.b64 | vouchsafe evidence inspect - --json"],
    notes:
      "Reads raw bytes, hex, base64, PEM, and evidence as JSON; of SGX, TDX, SEV-SNP, TPM, Nitro, node agents, Azure's HCL, firmware logs.",
    load: async () => (await import("./inspect.ts")).inspect,
  },
  {
    name: "evidence verify",
    summary: "Verifies evidence against the vendors' roots and prints what it proves.",
    operands: "FILE|-",
    minOperands: 1,
    maxOperands: 1,
    options: [CORIM_OPTION, ...POLICY_OPTIONS, ...VERIFY_OPTIONS],
    examples: [
      "evidence verify report.bin --with endorsement-key=vcek.der --with signer=ask.pem",
      "evidence verify quote.bin --collateral collateral/ --at 2026-08-20T00:00:00Z --json",
      "evidence verify quote.bin --collateral collateral.json --reference build.corim",
    ],
    notes: "Exits 3 when the evidence proves nothing, matches none of the reference values, or is refused by the policy.",
    load: async () => (await import("./verify-evidence.ts")).verifyFile,
  },
  {
    name: "evidence explain",
    summary: "Verifies evidence, compares it with what is expected, and says why it is refused and what would make it pass.",
    operands: "FILE|-",
    minOperands: 1,
    maxOperands: 1,
    options: [...POLICY_OPTIONS, ...REFERENCE_OPTIONS, ...VERIFY_OPTIONS],
    examples: [
      "evidence explain quote.bin --collateral collateral.json --policy session.yaml --service api",
      "evidence explain node.json --root agent.pem --accept node --code-identity 5fd1...",
      "evidence explain quote.bin --collateral collateral/ --accept tdx --launch-measurement 7348... --tolerate OutOfDate",
    ],
    notes: "Exits 3 when the evidence is refused.",
    load: async () => (await import("./explain.ts")).explain,
  },
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
