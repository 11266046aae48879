import { APPLY, GENSERVICE, MESH } from "./apply-spec.ts";
import type { CommandSpec } from "./command-spec.ts";
import { CAS_COMMANDS } from "./commands/cas/cas-spec.ts";
import { COLLATERAL_COMMANDS } from "./commands/collateral/collateral-spec.ts";
import { ENGINE_COMMANDS } from "./commands/engine/engine-spec.ts";
import { EVIDENCE_COMMANDS } from "./commands/evidence/evidence-spec.ts";
import { KUBERNETES_COMMANDS } from "./commands/kubernetes/kubernetes-spec.ts";
import { GATHER, LAS_COMMANDS } from "./commands/las/las-spec.ts";
import { SELF_COMMANDS } from "./commands/self/self-spec.ts";
import { SESSION_COMMANDS } from "./commands/session/session-spec.ts";

/** All commands, in the order of the general help. */
export const COMMAND_GROUPS: readonly { readonly title: string; readonly commands: readonly CommandSpec[] }[] = [
  { title: "build and protect", commands: [APPLY, GENSERVICE, MESH, verifySpec()] },
  { title: "run on this machine", commands: ENGINE_COMMANDS },
  { title: "policies and their CAS", commands: [...CAS_COMMANDS, ...SESSION_COMMANDS, ...SELF_COMMANDS] },
  { title: "run on a cluster", commands: KUBERNETES_COMMANDS },
  { title: "evidence", commands: [...EVIDENCE_COMMANDS, ...COLLATERAL_COMMANDS, ...LAS_COMMANDS] },
  { title: "other", commands: [completionSpec()] },
];
export const COMMANDS: readonly CommandSpec[] = [...COMMAND_GROUPS.flatMap(({ commands }) => commands), completeWordsSpec(), GATHER];

function completeWordsSpec(): CommandSpec {
  return {
    name: "complete-words",
    summary: "Prints names for completion scripts.",
    operands: "session|cas|field [WORD]",
    minOperands: 1,
    maxOperands: 2,
    options: [],
    examples: ["complete-words session team/"],
    isHidden: true,
    load: async () => (await import("./commands/complete-words.ts")).completeWords,
  };
}

function verifySpec(): CommandSpec {
  return {
    name: "verify",
    summary: "Checks a target directory: hashes, signatures, that the chart names the images that the policies attest.",
    options: [
      { short: "t", long: "target-directory", value: "DIR", summary: "the directory (default: ./target)" },
      { long: "json", summary: "print the findings as JSON" },
      { long: "help", summary: "this text" },
    ],
    examples: ["verify", "verify -t build/target --json"],
    load: async () => (await import("./commands/verify.ts")).verify,
  };
}

function completionSpec(): CommandSpec {
  return {
    name: "completion",
    summary: "Prints a completion script for a shell.",
    operands: "bash|zsh|fish",
    minOperands: 1,
    maxOperands: 1,
    options: [{ long: "help", summary: "this text" }],
    examples: ["completion bash > ~/.local/share/bash-completion/completions/vouchsafe", "completion fish | source"],
    load: async () => {
      const { completion } = await import("./commands/completion.ts");
      return (options, shell) =>
        completion(
          options,
          shell,
          COMMANDS.filter(({ isHidden }) => isHidden !== true),
        );
    },
  };
}
