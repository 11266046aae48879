import type { CommandSpec, OptionSpec } from "../../command-spec.ts";

const CAS_OPTIONS: readonly OptionSpec[] = [
  { long: "cas", short: "c", value: "CAS", summary: "an attested CAS, by name or address (default: the default one)" },
  { long: "identity", value: "FILE", summary: "PEM key and certificate to use instead of the own identity" },
  { long: "retries", value: "N", summary: "repetitions after network errors (default: SCONE_CLI_RETRIES or 3)" },
];
const DOCUMENT_OPTIONS: readonly OptionSpec[] = [
  { short: "e", value: "VAR=VALUE", isRepeatable: true, summary: "value of a template variable" },
  { long: "use-env", summary: "take template variables from the environment too" },
  { long: "name", short: "n", value: "NAME", summary: "name of the session instead of the one in the file" },
  { long: "fail-on-warning", summary: "exit with 3 when there were only warnings" },
];
const OUTPUT_OPTIONS: readonly OptionSpec[] = [
  { long: "json", summary: "print JSON" },
  { long: "help", summary: "this text" },
];

/** The sub-commands of `session` that talk to a CAS. */
export const SESSION_COMMANDS: readonly CommandSpec[] = [
  {
    name: "session create",
    summary: "Uploads a session (plain, signed or encrypted) and prints its hash.",
    operands: "FILE",
    minOperands: 1,
    maxOperands: 1,
    options: [...CAS_OPTIONS, ...DOCUMENT_OPTIONS, ...OUTPUT_OPTIONS],
    examples: ["session create policy.yml", "session create -e APP=shop policy.yml"],
    load: async () => (await import("./session-upload.ts")).sessionCreate,
  },
  {
    name: "session update",
    summary: "Uploads the successor of a session and prints its hash; fills in a missing predecessor.",
    operands: "FILE",
    minOperands: 1,
    maxOperands: 1,
    options: [...CAS_OPTIONS, ...DOCUMENT_OPTIONS, ...OUTPUT_OPTIONS],
    examples: ["P=$(vouchsafe session update policy.yml)"],
    load: async () => (await import("./session-upload.ts")).sessionUpdate,
  },
  {
    name: "session verify",
    summary: "Tells whether the CAS has exactly this session, and prints its hash.",
    operands: "FILE",
    minOperands: 1,
    maxOperands: 1,
    options: [...CAS_OPTIONS, ...DOCUMENT_OPTIONS, ...OUTPUT_OPTIONS],
    examples: ["session verify policy.yml"],
    load: async () => (await import("./session-read.ts")).sessionVerify,
  },
  {
    name: "session read",
    summary: "Prints a session as the CAS has it.",
    operands: "NAME",
    minOperands: 1,
    maxOperands: 1,
    options: [...CAS_OPTIONS, ...OUTPUT_OPTIONS],
    examples: ["session read team/app"],
    load: async () => (await import("./session-read.ts")).sessionRead,
  },
  {
    name: "session list",
    summary: "Lists the sessions of a namespace.",
    operands: "[NAMESPACE]",
    maxOperands: 1,
    options: [...CAS_OPTIONS, ...OUTPUT_OPTIONS],
    examples: ["session list team", "session list --json"],
    load: async () => (await import("./session-read.ts")).sessionList,
  },
];
