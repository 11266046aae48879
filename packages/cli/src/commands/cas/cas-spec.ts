import type { CommandSpec, OptionSpec } from "../../command-spec.ts";

/** Of a log file, whatever it is verified by. */
const LOG_OPTIONS: readonly OptionSpec[] = [
  { long: "print", short: "p", summary: "print the entries" },
  { long: "predecessor", value: "N", summary: "number of the entry before the file (rotated logs)" },
  { long: "last", value: "N", summary: "number of the entry that the file must reach" },
];

const HELP: OptionSpec = { long: "help", summary: "this text" };
const JSON_OUTPUT: OptionSpec = { long: "json", summary: "print JSON" };
const STATE: OptionSpec = { long: "state", value: "DIR", summary: "state of the local engine (default: ~/.local/state/vouchsafe)" };
const IDENTITY: OptionSpec = { long: "identity", value: "FILE", summary: "PEM key and certificate to use instead of the own identity" };
const CAS: OptionSpec = { long: "cas", value: "CAS", summary: "an attested CAS, by name or address (default: the default one)" };
const RETRIES: OptionSpec = { long: "retries", value: "N", summary: "repetitions after network errors (default: 3)" };
const OWNER_ACCESS: OptionSpec = { long: "allow-cas-owner-secret-access", summary: "accept a CAS whose owner can read all secrets" };
/** What a CAS has to prove of its code (C-65, C-66). */
const CODE_OPTIONS: readonly OptionSpec[] = [
  {
    long: "mrenclave",
    value: "HEX",
    isRepeatable: true,
    summary: "the CAS must be this code (code identity of any kind of evidence), whatever its security version",
  },
  { long: "mrsigner", value: "HEX", summary: "signer of the enclave; needs --isvprodid and --isvsvn" },
  { long: "isvprodid", value: "N", summary: "product of that signer" },
  { long: "isvsvn", value: "N", summary: "lowest security version (default: that of this program)" },
];
/** By what its evidence is verified. */
const ROOT_OPTIONS: readonly OptionSpec[] = [
  { long: "collateral", value: "FILE", summary: "judge the platform by this bundle (default: by what Intel and AMD publish now)" },
  { long: "evidence-root", value: "FILE", isRepeatable: true, summary: "trust this root of hardware instead of the vendors'" },
  { long: "tpm-endorsement-root", value: "FILE", isRepeatable: true, summary: "trust the TPMs of this maker (certificate, PEM)" },
  { long: "tpm-endorsement-key", value: "TPM_EK:HEX", isRepeatable: true, summary: "trust the TPM with this endorsement key" },
];
const TESTING_OPTIONS: readonly OptionSpec[] = [
  { long: "only_for_testing-debug", summary: "accept a CAS that can be debugged; needs --mrsigner or one of the next two" },
  { long: "only_for_testing-ignore-signer", summary: "accept any signer; needs --mrenclave" },
  {
    long: "only_for_testing-simulated-root",
    value: "FILE",
    summary: "believe simulated evidence under this root (PEM); it proves nothing",
  },
];
const TOLERANCE_OPTIONS: readonly OptionSpec[] = [
  { long: "configuration-needed", short: "C", summary: "accept a platform that should be configured otherwise" },
  { long: "out-of-date", short: "G", summary: "accept a platform that is out of date" },
  { long: "hardening-needed", short: "S", summary: "accept a platform that needs hardening in software" },
];
const TRUST_ANY: OptionSpec = {
  long: "only_for_testing-trust-any",
  summary: "accept a CAS by its key alone, with any evidence or none; needs --only_for_testing-debug",
};
/** What evidence of a CAS has to say, and by what it is verified. */
const EVIDENCE_OPTIONS: readonly OptionSpec[] = [...CODE_OPTIONS, ...TOLERANCE_OPTIONS, ...ROOT_OPTIONS, ...TESTING_OPTIONS];
/** The same for `kubectl provision`, which names tolerances otherwise (cli.md section 9). */
export const PROVISION_EVIDENCE_OPTIONS: readonly OptionSpec[] = [
  OWNER_ACCESS,
  ...CODE_OPTIONS,
  ...ROOT_OPTIONS,
  ...TESTING_OPTIONS,
  TRUST_ANY,
];

const TRUST_OPTIONS: readonly OptionSpec[] = [
  { long: "cas-key-hash", short: "c", value: "HASH", summary: "the CAS must have this key" },
  { long: "cas-software-key-hash", short: "s", value: "HASH", summary: "the CAS must be this software revision" },
  OWNER_ACCESS,
  ...EVIDENCE_OPTIONS,
  TRUST_ANY,
  { long: "only_for_testing_allow-unprovisioned-cas", summary: "accept a CAS without owner" },
];

const INSTANCE_OPTIONS: readonly OptionSpec[] = [
  {
    long: "cas-key-hash",
    short: "c",
    value: "HASH",
    summary: "the instance must have this key: needed where no hardware proves what it is",
  },
  { long: "cas-software-key-hash", short: "s", value: "HASH", summary: "the instance must be this software revision" },
  { long: "mrenclave", value: "HEX", isRepeatable: true, summary: "accept this code identity too, where nobody signs the software" },
  {
    long: "configuration-needed",
    short: "C",
    summary: "accept a platform that should be configured otherwise, although that of the CAS is not",
  },
  { long: "out-of-date", short: "G", summary: "accept a platform that is out of date, although that of the CAS is not" },
  {
    long: "hardening-needed",
    short: "S",
    summary: "accept a platform that needs hardening in software, although that of the CAS does not",
  },
  { long: "name", value: "NAME", summary: "register it under this name (default: ADDRESS); the same name again replaces" },
  CAS,
  IDENTITY,
  RETRIES,
  JSON_OUTPUT,
  HELP,
];
const REMOVE_OPTIONS: readonly OptionSpec[] = [CAS, IDENTITY, RETRIES, HELP];

const RECOVERY_HASH: OptionSpec = {
  ...{ long: "cas-key-hash", short: "c", value: "HASH" },
  summary: "the waiting CAS must have this key; it prints it (CAS recovery key hash)",
};
const OUTPUT: OptionSpec = { long: "output", short: "o", value: "FILE", summary: "write the result there" };

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
    summary: "Verifies who and what a CAS is and remembers it; the first one becomes the default.",
    operands: "ADDRESS [MEASUREMENT]",
    minOperands: 1,
    maxOperands: 2,
    options: [
      ...TRUST_OPTIONS,
      { long: "name", value: "NAME", summary: "remember it under this name (default: its host name)" },
      {
        long: "offline-report",
        value: "FILE",
        summary: "judge the saved answer to GET /v1/attest?nonce=N instead of asking; needs --nonce",
      },
      { long: "nonce", value: "N", summary: "nonce with which that answer was asked for" },
      { long: "verification-time", value: "DATE", summary: "judge it as of this time (default: now)" },
      HELP,
    ],
    examples: [
      "cas attest cas.example.org -c 3sYv… --mrenclave 5be0…",
      "cas attest cas.example.org -c 3sYv… --offline-report report.json --nonce 4711",
    ],
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
      { long: "database-key", value: "HEX", summary: "not supported: the owner of a CAS never knows the key of its database" },
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
    name: "cas register-backup",
    summary: "Lets a running CAS on another machine open the database: it can take over. It gets no data.",
    operands: "ADDRESS",
    minOperands: 1,
    maxOperands: 1,
    options: INSTANCE_OPTIONS,
    examples: ["cas register-backup cas-2.example.org -c 3sYv…", "cas register-backup 10.0.0.7:8081 -c 3sYv… --name node-7 --json"],
    load: async () => (await import("./cas-instances.ts")).casRegisterBackup,
  },
  {
    name: "cas register-upgrade",
    summary: "Lets a running CAS with newer software open the database.",
    operands: "ADDRESS",
    minOperands: 1,
    maxOperands: 1,
    options: INSTANCE_OPTIONS,
    examples: ["cas register-upgrade localhost:8181 -c 3sYv…"],
    load: async () => (await import("./cas-instances.ts")).casRegisterUpgrade,
  },
  {
    name: "cas start-upgrade",
    summary: "Gives the database a new key for the running version of the CAS: the former software loses access.",
    options: [{ long: "yes", short: "y", summary: "do not ask" }, CAS, IDENTITY, RETRIES, JSON_OUTPUT, HELP],
    examples: ["cas start-upgrade --yes"],
    load: async () => (await import("./cas-instances.ts")).casStartUpgrade,
  },
  {
    name: "cas list-backups",
    summary: "Lists which instances may open the database: backups and upgrades.",
    options: [CAS, IDENTITY, RETRIES, JSON_OUTPUT, HELP],
    examples: ["cas list-backups", "cas list-backups --json"],
    load: async () => (await import("./cas-instances.ts")).casListBackups,
  },
  {
    name: "cas remove-backup",
    summary: "Removes a registered backup.",
    operands: "NAME",
    minOperands: 1,
    maxOperands: 1,
    options: REMOVE_OPTIONS,
    examples: ["cas remove-backup node-7"],
    load: async () => (await import("./cas-instances.ts")).casRemoveBackup,
  },
  {
    name: "cas remove-upgrade",
    summary: "Removes a registered upgrade.",
    operands: "NAME",
    minOperands: 1,
    maxOperands: 1,
    options: REMOVE_OPTIONS,
    examples: ["cas remove-upgrade localhost:8181"],
    load: async () => (await import("./cas-instances.ts")).casRemoveUpgrade,
  },
  {
    name: "cas recovery export-key",
    summary: "Gets the recovery key of a CAS that waits for the holders of recovery keys, with their encrypted shares.",
    operands: "ADDRESS",
    minOperands: 1,
    maxOperands: 1,
    options: [RECOVERY_HASH, OUTPUT, HELP],
    redirectsOutput: true,
    examples: ["cas recovery export-key cas.example.org -c 3sYv… -o request.json"],
    load: async () => (await import("./cas-recovery.ts")).casRecoveryExportKey,
  },
  {
    name: "cas recovery sign-share",
    summary: "As a holder: encrypts the own share to the waiting CAS, and signs it. Needs no network.",
    operands: "FILE",
    minOperands: 1,
    maxOperands: 1,
    options: [RECOVERY_HASH, IDENTITY, OUTPUT, HELP],
    redirectsOutput: true,
    examples: ["cas recovery sign-share request.json -c 3sYv… -o share.json"],
    load: async () => (await import("./cas-recovery.ts")).casRecoverySignShare,
  },
  {
    name: "cas recovery submit-share",
    summary: "Hands a signed share in; with the last one that is needed the CAS starts.",
    operands: "ADDRESS FILE",
    minOperands: 2,
    maxOperands: 2,
    options: [RECOVERY_HASH, JSON_OUTPUT, HELP],
    examples: ["cas recovery submit-share cas.example.org share.json -c 3sYv…"],
    load: async () => (await import("./cas-recovery.ts")).casRecoverySubmitShare,
  },
  {
    name: "cas verify-audit-log",
    summary: "Verifies an audit log against its CAS. Exit codes 0, 10 and 14 to 20 are verdicts.",
    operands: "FILE",
    minOperands: 1,
    maxOperands: 1,
    options: [
      ...LOG_OPTIONS,
      { long: "cas-key-hash", short: "c", value: "HASH", summary: "the CAS must have this key" },
      CAS,
      IDENTITY,
      HELP,
    ],
    examples: ["cas verify-audit-log cas_audit.log", "cas verify-audit-log -p --predecessor 1000 cas_audit.log.2"],
    load: async () => (await import("./cas-audit.ts")).casVerifyAuditLog,
  },
  {
    name: "cas attest-audit-log",
    summary:
      "Verifies an audit log by the evidence over its key that it holds: no CAS has to be attested before. Exit codes 0, 10 and 14 to 20 are verdicts.",
    operands: "FILE",
    minOperands: 1,
    maxOperands: 1,
    options: [
      ...LOG_OPTIONS,
      { long: "cas-key-hash", short: "c", value: "HASH", summary: "the log must be that of the CAS with this key" },
      ...EVIDENCE_OPTIONS,
      { long: "verification-time", value: "DATE", summary: "judge the evidence as of this time (default: now)" },
      { long: "cas", value: "CAS", summary: "compare with what this attested CAS says now; else a roll-back cannot be excluded (16)" },
      IDENTITY,
      HELP,
    ],
    examples: [
      "cas attest-audit-log cas_audit.log --mrenclave 5be0…",
      "cas attest-audit-log -p cas_audit.log --mrenclave 5be0… --cas local",
    ],
    load: async () => (await import("./cas-attest-log.ts")).casAttestAuditLog,
  },
  {
    name: "cas version",
    summary: "Prints the version of the CAS software that this program brings.",
    options: [HELP],
    examples: ["cas version"],
    load: async () => (await import("./cas-known.ts")).casVersion,
  },
];
