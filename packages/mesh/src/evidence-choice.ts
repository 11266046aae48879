import { SIMULATED_KINDS, type SimulatedKind } from "@vouchsafe/attestation";
import { EVIDENCE_KINDS, type EvidenceKindName } from "./mesh-record.ts";

/** Kinds of evidence that the policies of a mesh accept, and what the software platform imitates where `simulated` is one of them. */
export interface EvidenceChoice {
  readonly kinds: readonly EvidenceKindName[];
  readonly simulates: SimulatedKind | undefined;
}

/** Every word that names a kind, for messages: `simulated` alone imitates TDX. */
export const EVIDENCE_WORDS: readonly string[] = [...EVIDENCE_KINDS, ...SIMULATED_KINDS.map((kind) => `simulated:${kind}`)];

const DEFAULT_IMITATION: SimulatedKind = "tdx";

/** `node`, `tdx`, `simulated:snp`, …; undefined for anything else. */
export function parseEvidenceWord(word: string): EvidenceChoice | undefined {
  const kind = EVIDENCE_KINDS.find((each) => each === word);
  if (kind !== undefined) return { kinds: [kind], simulates: kind === "simulated" ? DEFAULT_IMITATION : undefined };
  const imitated = SIMULATED_KINDS.find((each) => word === `simulated:${each}`);
  return imitated === undefined ? undefined : { kinds: ["simulated"], simulates: imitated };
}

/** Several words as one choice; the last one says what is imitated. */
export function joinEvidence(choices: readonly EvidenceChoice[]): EvidenceChoice {
  return {
    kinds: [...new Set(choices.flatMap(({ kinds }) => kinds))],
    simulates: choices.findLast(({ simulates }) => simulates !== undefined)?.simulates,
  };
}
