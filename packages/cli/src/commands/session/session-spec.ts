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
  {
    name: "session secret set",
    summary: "Supplies the value of a secret with `supplied_by`, from standard input or a file.",
    operands: "SESSION SECRET",
    minOperands: 2,
    maxOperands: 2,
    options: [
      { long: "file", short: "f", value: "FILE", summary: "read the value from this file instead of standard input" },
      { long: "raw", summary: "take the bytes as they are, for kind binary (otherwise: hexadecimal digits)" },
      { long: "exact", summary: "keep the line end at the end of a text" },
      ...CAS_OPTIONS,
      ...OUTPUT_OPTIONS,
    ],
    examples: ["session secret set shop smtp_password < password.txt", "session secret set shop corporate_ca --file ca.pem"],
    notes: "The value is never taken from the command line, where other users of the machine could see it.",
    load: async () => (await import("./session-secret.ts")).sessionSecretSet,
  },
  {
    name: "session secret read",
    summary: "Prints the value of a secret, for members of a role that may `read_secret`.",
    operands: "SESSION SECRET",
    minOperands: 2,
    maxOperands: 2,
    options: [
      { long: "format", value: "FORMAT", summary: "as in a placeholder, for instance hex or privatekey:pem" },
      ...CAS_OPTIONS,
      ...OUTPUT_OPTIONS,
    ],
    examples: ["session secret read shop report_key --format hex > key.hex"],
    load: async () => (await import("./session-secret.ts")).sessionSecretRead,
  },
  {
    name: "session secret list",
    summary: "Lists the secrets of a session that people supply or read, and which of them have a value.",
    operands: "SESSION",
    minOperands: 1,
    maxOperands: 1,
    options: [...CAS_OPTIONS, ...OUTPUT_OPTIONS],
    examples: ["session secret list shop", "session secret list shop --json"],
    load: async () => (await import("./session-secret.ts")).sessionSecretList,
  },
];
