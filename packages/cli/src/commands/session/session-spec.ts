import type { CommandSpec } from "../../command-spec.ts";
import { DOCUMENT_COMMANDS } from "./document-spec.ts";
import { GOVERNANCE_COMMANDS } from "./governance-spec.ts";
import { CAS_OPTIONS, OUTPUT_OPTIONS as COMMON_OPTIONS, DOCUMENT_OPTIONS } from "./session-options.ts";

const OUTPUT_OPTIONS = [{ long: "json", summary: "print JSON" }, ...COMMON_OPTIONS];

/** The sub-commands of `session`. */
export const SESSION_COMMANDS: readonly CommandSpec[] = [
  ...DOCUMENT_COMMANDS,
  {
    name: "session create",
    summary: "Uploads a session (plain, signed or encrypted) and prints its hash.",
    operands: "FILE",
    minOperands: 1,
    maxOperands: 1,
    options: [...CAS_OPTIONS, ...DOCUMENT_OPTIONS, ...OUTPUT_OPTIONS],
    examples: ["session create policy.yml", "session create -e APP=shop policy.yml"],
    redirectsOutput: true,
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
    redirectsOutput: true,
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
    redirectsOutput: true,
    load: async () => (await import("./session-read.ts")).sessionVerify,
  },
  {
    name: "session read",
    summary: "Prints a session as the CAS has it.",
    operands: "NAME",
    completes: "session",
    minOperands: 1,
    maxOperands: 1,
    options: [...CAS_OPTIONS, ...OUTPUT_OPTIONS],
    examples: ["session read team/app"],
    redirectsOutput: true,
    load: async () => (await import("./session-read.ts")).sessionRead,
  },
  {
    name: "session list",
    summary: "Lists the sessions of a namespace.",
    operands: "[NAMESPACE]",
    completes: "session",
    maxOperands: 1,
    options: [...CAS_OPTIONS, ...OUTPUT_OPTIONS],
    examples: ["session list team", "session list --json"],
    redirectsOutput: true,
    load: async () => (await import("./session-read.ts")).sessionList,
  },
  {
    name: "session exceptions",
    summary: "Lists what a session accepts for a time: weaknesses and advisories of platforms, until when and why.",
    operands: "SESSION",
    completes: "session",
    minOperands: 1,
    maxOperands: 1,
    options: [...CAS_OPTIONS, ...OUTPUT_OPTIONS],
    examples: ["session exceptions shop", "session exceptions shop --json"],
    notes: "Exits 3 when one has ended or ends within 14 days.",
    redirectsOutput: true,
    load: async () => (await import("./session-exceptions.ts")).sessionExceptions,
  },
  ...GOVERNANCE_COMMANDS,
];
