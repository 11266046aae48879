import type { CommandSpec, OptionSpec } from "../../command-spec.ts";

const HELP: OptionSpec = { long: "help", summary: "this text" };
const JSON_OUTPUT: OptionSpec = { long: "json", summary: "print JSON" };
const STATE: OptionSpec = { long: "state", value: "DIR", summary: "state of the local engine (default: ~/.local/state/vouchsafe)" };
const IDENTITY: OptionSpec = { long: "identity", value: "FILE", summary: "PEM key and certificate to use instead of the own identity" };
const CAS: OptionSpec = { long: "cas", value: "CAS", summary: "an attested CAS, by name or address (default: the default one)" };
const RETRIES: OptionSpec = { long: "retries", value: "N", summary: "repetitions after network errors (default: 3)" };
const TRUST_OPTIONS: readonly OptionSpec[] = [
  { long: "cas-key-hash", short: "c", value: "HASH", summary: "the CAS must have this key" },
  { long: "cas-software-key-hash", short: "s", value: "HASH", summary: "the CAS must be this software revision" },
  { long: "allow-cas-owner-secret-access", summary: "accept a CAS whose owner can read all secrets" },
  { long: "only_for_testing-debug", summary: "accept a CAS that can be debugged" },
  { long: "only_for_testing-trust-any", summary: "accept a CAS without evidence of hardware; needs --only_for_testing-debug" },
  { long: "only_for_testing_allow-unprovisioned-cas", summary: "accept a CAS without owner" },
];

/** The sub-commands of `cas`. */
export const CAS_COMMANDS: readonly CommandSpec[] = [
  {
    name: "cas start",
    summary: "Starts the embedded CAS of this user, and makes this client its owner.",
    options: [STATE, JSON_OUTPUT, HELP],
    examples: ["cas start", "cas start --json"],
    load: async () => (await import("./cas-start.ts")).casStart,
  },
  {
    name: "cas status",
    summary: "Tells whether the embedded CAS runs and is ready.",
    options: [STATE, JSON_OUTPUT, HELP],
    examples: ["cas status", "cas status --json"],
    load: async () => (await import("./cas-start.ts")).casStatus,
  },
  {
    name: "cas stop",
    summary: "Ends the embedded CAS; its data stay.",
    options: [STATE, HELP],
    examples: ["cas stop"],
    load: async () => (await import("./cas-start.ts")).casStop,
  },
  {
    name: "cas attest",
    summary: "Verifies who a CAS is and remembers it; the first one becomes the default.",
    operands: "ADDRESS",
    minOperands: 1,
    maxOperands: 1,
    options: [...TRUST_OPTIONS, { long: "name", value: "NAME", summary: "remember it under this name (default: its host name)" }, HELP],
    examples: ["cas attest cas.example.org -c 3sYv…"],
    load: async () => (await import("./cas-attest.ts")).casAttest,
  },
  {
    name: "cas list",
    summary: "Lists the attested CAS instances; the default one has a star.",
    options: [JSON_OUTPUT, HELP],
    examples: ["cas list"],
    load: async () => (await import("./cas-known.ts")).casList,
  },
  {
    name: "cas set-default",
    summary: "Makes an attested CAS the default.",
    operands: "NAME",
    completes: "cas",
    minOperands: 1,
    maxOperands: 1,
    options: [HELP],
    examples: ["cas set-default local"],
    load: async () => (await import("./cas-known.ts")).casSetDefault,
  },
  {
    name: "cas show-identification",
    summary: "Prints the certificate chain of an attested CAS, or one part of its identity.",
    operands: "[CAS]",
    completes: "cas",
    maxOperands: 1,
    options: [
      { short: "T", long: "chain", summary: "the certificate chain (default)" },
      { short: "c", long: "cas-key-hash", summary: "hash of the CAS key" },
      { short: "C", long: "cas-certificate", summary: "certificate of the CAS key" },
      { short: "s", long: "software-key-hash", summary: "hash of the software key" },
      { short: "S", long: "software-certificate", summary: "certificate of the software key" },
      { long: "session-encryption-key", summary: "key that sessions for this CAS are encrypted to" },
      HELP,
    ],
    examples: ["cas show-identification -c", "cas show-identification local --session-encryption-key"],
    load: async () => (await import("./cas-known.ts")).casShowIdentification,
  },
  {
    name: "cas show-certificate",
    summary: "Prints instance certificate and root certificate of an attested CAS.",
    operands: "[CAS]",
    completes: "cas",
    maxOperands: 1,
    options: [HELP],
    examples: ["cas show-certificate local"],
    load: async () => (await import("./cas-known.ts")).casShowCertificate,
  },
  {
    name: "cas provision",
    summary: "Makes this client the owner of a fresh CAS.",
    operands: "ADDRESS [with-attestation|only_for_testing-without-attestation]",
    minOperands: 1,
    maxOperands: 2,
    options: [
      ...TRUST_OPTIONS,
      { long: "token", value: "TOKEN", summary: "provisioning token, as the CAS printed it" },
      { long: "config-file", value: "FILE", summary: "owner configuration (TOML)" },
      IDENTITY,
      HELP,
    ],
    examples: ["cas provision cas.example.org -c 3sYv… --token 0123… --config-file owner.toml with-attestation"],
    load: async () => (await import("./cas-own.ts")).casProvision,
  },
  {
    name: "cas update-config",
    summary: "Replaces the owner configuration of a CAS.",
    options: [{ long: "config-file", value: "FILE", summary: "owner configuration (TOML)" }, CAS, IDENTITY, RETRIES, HELP],
    examples: ["cas update-config --config-file owner.toml"],
    load: async () => (await import("./cas-own.ts")).casUpdateConfig,
  },
  {
    name: "cas accept-rollback",
    summary: "Confirms, as the owner, that a CAS lost its newest changes.",
    options: [{ long: "yes", short: "y", summary: "do not ask" }, CAS, IDENTITY, RETRIES, HELP],
    examples: ["cas accept-rollback --yes"],
    load: async () => (await import("./cas-own.ts")).casAcceptRollback,
  },
  {
    name: "cas verify-audit-log",
    summary: "Verifies an audit log against its CAS. Exit codes 0, 10 and 14 to 20 are verdicts.",
    operands: "FILE",
    minOperands: 1,
    maxOperands: 1,
    options: [
      { long: "print", short: "p", summary: "print the entries" },
      { long: "predecessor", value: "N", summary: "number of the entry before the file (rotated logs)" },
      { long: "last", value: "N", summary: "number of the entry that the file must reach" },
      { long: "cas-key-hash", short: "c", value: "HASH", summary: "the CAS must have this key" },
      CAS,
      IDENTITY,
      HELP,
    ],
    examples: ["cas verify-audit-log cas_audit.log", "cas verify-audit-log -p --predecessor 1000 cas_audit.log.2"],
    load: async () => (await import("./cas-audit.ts")).casVerifyAuditLog,
  },
  {
    name: "cas version",
    summary: "Prints the version of the CAS software that this program brings.",
    options: [HELP],
    examples: ["cas version"],
    load: async () => (await import("./cas-known.ts")).casVersion,
  },
];
