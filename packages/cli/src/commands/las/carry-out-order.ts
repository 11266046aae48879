import { randomBytes } from "node:crypto";
import { type EvidenceSource, hardwareSources, readWorkload } from "@vouchsafe/attester";
import { askNodeAgent, describeAgent } from "@vouchsafe/protocol";
import type { ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";
import { chooseAndGather } from "./choose-and-gather.ts";
import type { EvidencePlace } from "./evidence-sources.ts";

const USER_DATA_BYTES = 64;

/** What the process that gathers is told, as JSON. */
export interface GatherOrder {
  readonly place: EvidencePlace;
  readonly wantsDcap: boolean;
  readonly workloadFile?: string;
}

/**
 * Gathers evidence once: `gather-evidence ORDER`, JSON in and out. A process of its own, because a driver that does not answer can only be left by
 * ending whoever waits for it.
 */
export async function carryOutOrder({ operands }: ParsedOptions, shell: Shell): Promise<number> {
  const { place, wantsDcap, workloadFile }: GatherOrder = JSON.parse(operands[0] ?? "");
  const request = { userData: randomBytes(USER_DATA_BYTES), workload: readWorkload(workloadFile), certifyKey: undefined };
  shell.out(JSON.stringify(await chooseAndGather(sourcesOf(place), request, wantsDcap)));
  return ExitCode.ok;
}

function sourcesOf(from: EvidencePlace): readonly EvidenceSource[] {
  if ("tpm" in from) return hardwareSources(from.tpm);
  const { agent } = from;
  return [
    {
      kinds: ["node", "simulated"],
      name: `the node agent at ${describeAgent(agent)}`,
      absence: () => undefined,
      gather: ({ userData }) => askNodeAgent(agent, userData),
    },
  ];
}
