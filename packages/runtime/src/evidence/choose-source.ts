import type { Evidence } from "@vouchsafe/attestation";
import { type EvidenceSource, hardwareSources, readWorkload } from "@vouchsafe/attester";
import type { CertifyKey } from "@vouchsafe/protocol";
import { log } from "../report.ts";
import { RuntimeError } from "../runtime-error.ts";
import type { RuntimeSettings } from "../settings.ts";
import { nodeAgentSource } from "./node-agent-source.ts";

export type GatherEvidence = (userData: Uint8Array, certifyKey: CertifyKey) => Promise<Evidence>;

/** Everything that may give evidence, in the order of what it proves. */
function sources({ tpm, agent }: RuntimeSettings): EvidenceSource[] {
  return [...hardwareSources(tpm), ...(agent === undefined ? [] : [nodeAgentSource(agent)])];
}

/**
 * The first source that exists here and is asked for; undefined where nothing is asked for and nothing exists. What is absent is skipped with a line
 * in the debug log. Throws R-EVIDENCE where nothing that is asked for exists.
 */
export function chooseSource(settings: RuntimeSettings, candidates = sources(settings)): EvidenceSource | undefined {
  const { evidenceKinds, isDebugLogged } = settings;
  const skipped: string[] = [];
  for (const source of candidates) {
    if (evidenceKinds !== undefined && !source.kinds.some((kind) => evidenceKinds.includes(kind))) continue;
    const absence = source.absence();
    if (absence === undefined) return source;
    skipped.push(`${source.kinds[0]} evidence from ${source.name}: ${absence}`);
    if (isDebugLogged) log(`skipped: ${skipped.at(-1)}`);
  }
  if (evidenceKinds === undefined) return undefined;
  throw new RuntimeError(
    "R-EVIDENCE",
    `the policy wants evidence of kind ${evidenceKinds.join(" or ")}, and this container has no source of it`,
    {
      cause: skipped.length === 0 ? undefined : new Error(skipped.join("; ")),
      remedy: "Give the container the platform's device, or apply the mesh with a kind of evidence that this machine has.",
    },
  );
}

/** How the launcher's log names it, with what it is worth where it proves nothing about hardware. */
export function describeSource(source: EvidenceSource | undefined, { evidenceKinds }: RuntimeSettings): string {
  if (source === undefined) return "none";
  if (!source.kinds.includes("node")) return `${source.kinds.join(", ")} from ${source.name}`;
  if (evidenceKinds?.includes("simulated")) return "simulated (DEVELOPMENT ONLY: made by the software platform; proves nothing)";
  return "node (measured by the node agent; proves nothing about hardware)";
}

export function gatherFrom(source: EvidenceSource, { workloadFile }: RuntimeSettings): GatherEvidence {
  return (userData, certifyKey) => source.gather({ userData, workload: readWorkload(workloadFile), certifyKey });
}
