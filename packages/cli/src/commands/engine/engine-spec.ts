import type { CommandSpec, OptionSpec } from "../../command-spec.ts";

const HELP: OptionSpec = { long: "help", summary: "this text" };
const RELEASE: OptionSpec = { long: "release", value: "NAME", summary: "the application, by its release" };
const JSON_OUTPUT: OptionSpec = { long: "json", summary: "print the data as JSON" };

/** Running applications on this machine. */
export const ENGINE_COMMANDS: readonly CommandSpec[] = [
  {
    name: "up",
    summary: "Runs the application of a target directory on this machine and waits until it is ready.",
    options: [
      { short: "t", long: "target-directory", value: "DIR", summary: "the directory (default: ./target)" },
      RELEASE,
      { long: "timeout", value: "SECONDS", summary: "how long it may take to become ready (default: 155)" },
      JSON_OUTPUT,
      HELP,
    ],
    examples: ["up --release clinic", "up -t build/target --release clinic --timeout 60"],
    notes:
      "Evidence of this engine is of the kind node: this machine's agent vouches for what it started. It proves nothing about hardware.\nA running application of the same release is replaced.",
    load: async () => (await import("./up.ts")).up,
  },
  {
    name: "down",
    summary: "Stops an application of this machine and removes everything of it; the CAS keeps its policies.",
    options: [RELEASE, { long: "all", summary: "all applications, and this machine's CAS" }, HELP],
    examples: ["down --release clinic", "down --all"],
    load: async () => (await import("./down.ts")).down,
  },
  {
    name: "ps",
    summary: "Lists the services that run on this machine.",
    options: [RELEASE, JSON_OUTPUT, HELP],
    examples: ["ps", "ps --release clinic --json"],
    load: async () => (await import("./ps.ts")).ps,
  },
  {
    name: "logs",
    summary: "Prints what the services of an application wrote.",
    operands: "[SERVICE...]",
    maxOperands: 200,
    options: [RELEASE, { short: "f", long: "follow", summary: "go on until interrupted" }, HELP],
    examples: ["logs --release clinic", "logs --release clinic -f flask"],
    load: async () => (await import("./logs.ts")).logs,
  },
  {
    name: "doctor",
    summary: "Checks whether this machine (or the cluster) can run applications, with a remedy for each finding.",
    options: [
      { long: "cluster", summary: "check the cluster of the present kubectl context instead of this machine" },
      { long: "cas", value: "NAME", summary: "with --cluster: name of the CAS (default: cas)" },
      { long: "cas-namespace", value: "NAMESPACE", summary: "with --cluster: its namespace (default: scone-system)" },
      {
        short: "n",
        long: "namespace",
        value: "NAMESPACE",
        summary: "with --cluster: where applications go (default: that of the context)",
      },
      { long: "quiet", summary: "print problems only" },
      JSON_OUTPUT,
      HELP,
    ],
    examples: ["doctor", "doctor --json", "doctor --cluster --cas-namespace trust"],
    load: async () => (await import("./doctor.ts")).doctor,
  },
];
