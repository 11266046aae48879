import type { CommandSpec, OptionSpec } from "../../command-spec.ts";

const HELP: OptionSpec = { long: "help", summary: "this text" };
const JSON_OUTPUT: OptionSpec = { long: "json", summary: "print JSON" };

/** The commands about this client's own identity, and about certificates. */
export const SELF_COMMANDS: readonly CommandSpec[] = [
  {
    name: "self show",
    summary: "Prints this client's certificate, key hash and session-signing key; makes them at first use.",
    options: [JSON_OUTPUT, HELP],
    examples: ["self show", "self show --json"],
    load: async () => (await import("./self-show.ts")).selfShow,
  },
  {
    name: "self show-certificate",
    summary: "Prints this client's certificate (PEM).",
    options: [HELP],
    examples: ["self show-certificate > me.pem"],
    load: async () => (await import("./self-show.ts")).selfShowPart("certificate"),
  },
  {
    name: "self show-key-hash",
    summary: "Prints the key hash by which access policies name this client.",
    options: [HELP],
    examples: ["self show-key-hash"],
    load: async () => (await import("./self-show.ts")).selfShowPart("keyHash"),
  },
  {
    name: "self show-session-signing-key",
    summary: "Prints the public key of this client's session signatures (PEM).",
    options: [HELP],
    examples: ["self show-session-signing-key > signer.pem"],
    load: async () => (await import("./self-show.ts")).selfShowPart("sessionSigningKey"),
  },
  {
    name: "self show-certificate-hash",
    summary: "Prints the SHA-256 of this client's certificate (deprecated: see self show-key-hash).",
    options: [HELP],
    examples: ["self show-certificate-hash"],
    load: async () => (await import("./self-show.ts")).selfShowCertificateHash,
  },
  {
    name: "cert show-key-hash",
    summary: "Prints the key hash of a PEM certificate or key, as access policies and references take it.",
    operands: "FILE",
    minOperands: 1,
    maxOperands: 1,
    options: [JSON_OUTPUT, HELP],
    examples: ["cert show-key-hash alice.pem", "vouchsafe self show-certificate | vouchsafe cert show-key-hash -"],
    load: async () => (await import("./self-show.ts")).certShowKeyHash,
  },
];
