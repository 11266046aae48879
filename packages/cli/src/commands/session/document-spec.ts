import type { CommandSpec, OptionSpec } from "../../command-spec.ts";
import { CAS_OPTIONS, DOCUMENT_OPTIONS, OUTPUT_OPTIONS } from "./session-options.ts";

const DIFF_OPTIONS: readonly OptionSpec[] = [
  { long: "details", summary: "list every part that differs, too" },
  { long: "exit-code", summary: "exit with 3 when the two differ in meaning" },
];

/** The sub-commands of `session` that work on documents; most need no CAS (C-32). */
export const DOCUMENT_COMMANDS: readonly CommandSpec[] = [
  {
    name: "session check",
    summary: "Checks a session file without a CAS and prints the session in normal form.",
    operands: "FILE",
    minOperands: 1,
    maxOperands: 1,
    options: [
      { long: "explain", summary: "say in a line which programs each service admits" },
      ...DOCUMENT_OPTIONS,
      { long: "json", summary: "print the diagnostics instead, one JSON object a line" },
      ...OUTPUT_OPTIONS,
    ],
    examples: [
      "session check policy.yml",
      "session check -e APP=shop --fail-on-warning policy.yml > /dev/null",
      "session check - < policy.yml",
    ],
    notes: "FILE may be `-` for standard input. Exit codes: 0 valid, 1 errors, 2 wrong use, 3 warnings with --fail-on-warning.",
    redirectsOutput: true,
    load: async () => (await import("./session-check.ts")).sessionCheck,
  },
  {
    name: "session calculate-hash",
    summary: "Calculates the hash that a CAS will give to a session.",
    operands: "FILE",
    minOperands: 1,
    maxOperands: 1,
    options: [
      {
        long: "with-self-as-creator",
        value: "KIND",
        words: ["tls", "signer"],
        summary: "creator of a document that names none: this client's certificate or its signing key",
      },
      ...DOCUMENT_OPTIONS,
      { long: "json", summary: "print JSON" },
      ...OUTPUT_OPTIONS,
    ],
    examples: ["session calculate-hash --with-self-as-creator tls policy.yml"],
    redirectsOutput: true,
    load: async () => (await import("./session-check.ts")).sessionCalculateHash,
  },
  {
    name: "session diff",
    summary: "Says in words what a change of a session allows and what it takes away.",
    operands: "[OLD] NEW",
    completes: "session or file",
    minOperands: 1,
    maxOperands: 2,
    options: [...DIFF_OPTIONS, ...CAS_OPTIONS, ...DOCUMENT_OPTIONS, { long: "json", summary: "print JSON" }, ...OUTPUT_OPTIONS],
    examples: ["session diff old.yml new.yml", "session diff policy.yml", "session diff team/app@9f0c2e6a… team/app"],
    notes:
      "OLD and NEW are files, or NAME or NAME@HASH of sessions in the CAS. With NEW alone, OLD is what the CAS has now under its name.",
    redirectsOutput: true,
    load: async () => (await import("./session-diff.ts")).sessionDiff,
  },
  {
    name: "session sign",
    summary: "Signs a session file, or adds a signature to a signed one.",
    operands: "FILE [sign-with-cli-identity | generate-message-to-be-signed [SIGNER] | add-signature SIGNER [BASE64]]",
    minOperands: 1,
    maxOperands: 4,
    options: [
      { long: "key", value: "FILE", summary: "PEM private key (Ed25519 or P-384) to sign with instead of the own one" },
      { long: "force", short: "f", summary: "write the binary message to a terminal, too" },
      ...DOCUMENT_OPTIONS,
      ...OUTPUT_OPTIONS,
    ],
    examples: [
      "session sign policy.yml > policy.signed.json",
      "session sign policy.yml generate-message-to-be-signed > message",
      "session sign policy.yml add-signature public.pem < signature",
    ],
    notes:
      "The message is signed directly by Ed25519, or by ECDSA P-384 with SHA-384 (DER). SIGNER is a PEM public key in a file; the signature is given as base64 or, raw, on standard input.",
    redirectsOutput: true,
    load: async () => (await import("./session-sign.ts")).sessionSign,
  },
  {
    name: "session encrypt",
    summary: "Encrypts a session for one CAS; signs it first if it is not signed.",
    operands: "FILE",
    minOperands: 1,
    maxOperands: 1,
    options: [
      { long: "cas", short: "c", value: "CAS", summary: "an attested CAS, by name or address (default: the default one)" },
      { long: "key", value: "KEY", summary: "session-encryption key of the CAS, 64 hex digits, instead of --cas" },
      ...DOCUMENT_OPTIONS,
      ...OUTPUT_OPTIONS,
    ],
    examples: ["session encrypt policy.yml > policy.encrypted.json", "session encrypt --cas cas.example.org policy.signed.json"],
    redirectsOutput: true,
    load: async () => (await import("./session-sign.ts")).sessionEncrypt,
  },
  {
    name: "session schema",
    summary: "Prints the JSON Schema of session files, for completion and hover in editors.",
    options: [...OUTPUT_OPTIONS],
    examples: ["session schema -o session.schema.json"],
    notes: "With the YAML language server, let a file begin with: # yaml-language-server: $schema=session.schema.json",
    redirectsOutput: true,
    load: async () => (await import("./session-explain.ts")).sessionSchema,
  },
  {
    name: "explain",
    summary: "Explains a key of the session language.",
    operands: "[FIELD.PATH]",
    completes: "field",
    maxOperands: 1,
    options: [{ long: "json", summary: "print JSON" }, ...OUTPUT_OPTIONS],
    examples: ["explain", "explain services.attestation", "explain secrets"],
    redirectsOutput: true,
    load: async () => (await import("./session-explain.ts")).explain,
  },
];
