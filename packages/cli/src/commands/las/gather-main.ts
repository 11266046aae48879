/**
 * Gathers evidence once: `node gather-main.ts ORDER`, JSON in and out. A process of its own, because a driver that does not answer can only be left by
 * ending whoever waits for it.
 */
import { randomBytes } from "node:crypto";
import { type EvidenceSource, hardwareSources, readWorkload } from "@vouchsafe/attester";
import { askNodeAgent, describeAgent } from "@vouchsafe/protocol";
import { chooseAndGather } from "./choose-and-gather.ts";
import type { EvidencePlace } from "./evidence-sources.ts";

const USER_DATA_BYTES = 64;
const { place, wantsDcap, workloadFile }: { place: EvidencePlace; wantsDcap: boolean; workloadFile?: string } = JSON.parse(
  process.argv[2] ?? "",
);

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

const request = { userData: randomBytes(USER_DATA_BYTES), workload: readWorkload(workloadFile), certifyKey: undefined };
process.stdout.write(JSON.stringify(await chooseAndGather(sourcesOf(place), request, wantsDcap)));
