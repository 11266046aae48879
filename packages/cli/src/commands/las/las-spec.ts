import type { CommandSpec, OptionSpec } from "../../command-spec.ts";
import { VERIFY_OPTIONS } from "../evidence/verify-options.ts";
import { FAIL_ON_OPTIONS } from "./fail-on.ts";

const GATHER_OPTIONS: readonly OptionSpec[] = [
  { long: "dcap", summary: "SGX or TDX quotes in particular: this machine's devices are asked, no node agent" },
  { long: "timeout", value: "SECONDS", summary: "how long evidence may take (default: 10)" },
];
const SOURCES =
  "Asks the node agent at VOUCHSAFE_AGENT_SOCKET or SCONE_LAS_ADDR (port 18766) where one is set, else the devices of this machine; VOUCHSAFE_TPM names another TPM than /dev/tpmrm0. On a cluster the agent gives evidence to the launcher of a container alone: from any other pod the answer shows that it is reached, and why it refuses.";

export const GATHER_COMMAND = "gather-evidence";

/** What the commands below start as a process of its own. */
export const GATHER: CommandSpec = {
  name: GATHER_COMMAND,
  summary: "Gathers evidence for las probe and las show-tcb-state.",
  operands: "ORDER",
  minOperands: 1,
  maxOperands: 1,
  options: [],
  examples: [`${GATHER_COMMAND} '{"place":{"tpm":{"device":"/dev/tpmrm0"}},"wantsDcap":false}'`],
  isHidden: true,
  load: async () => (await import("./carry-out-order.ts")).carryOutOrder,
};

/** The commands about what gives evidence here (C-90). */
export const LAS_COMMANDS: readonly CommandSpec[] = [
  {
    name: "las probe",
    summary: "Says whether evidence can be produced here, without verifying it.",
    options: [
      ...GATHER_OPTIONS,
      { long: "save", value: "FILE", summary: "keep the evidence, for evidence verify or las show-tcb-state --evidence" },
      { long: "json", summary: "print JSON" },
      { long: "help", summary: "this text" },
    ],
    examples: ["las probe", "las probe --dcap --timeout 30 --save evidence.json"],
    notes: `${SOURCES} Exits 0 if evidence came.`,
    load: async () => (await import("./probe.ts")).probe,
  },
  {
    name: "las show-tcb-state",
    summary: "Shows family, identifiers, security versions and status of a platform, and what would improve it.",
    options: [
      {
        long: "evidence",
        value: "FILE",
        summary: "judge this evidence, e.g. of another machine, instead of gathering some; - is standard input",
      },
      ...GATHER_OPTIONS,
      ...FAIL_ON_OPTIONS,
      ...VERIFY_OPTIONS.filter(({ long }) => long !== "json" && long !== "help"),
      { long: "json", value: "WHAT", words: ["summary", "full"], summary: "print JSON: the state, or the state and all claims" },
      { long: "help", summary: "this text" },
    ],
    examples: [
      "las show-tcb-state --collateral collateral.json",
      "las show-tcb-state --evidence evidence.json --collateral collateral.json --json summary --fail-on-outdated",
    ],
    notes: `${SOURCES} The evidence is verified as evidence verify does; for a TPM, --root names its maker's certificates (PEM). Exits 3 when it proves nothing, or when a --fail-on switch strikes; a status that is not known counts as bad.`,
    load: async () => (await import("./show-tcb-state.ts")).showTcbState,
  },
];
