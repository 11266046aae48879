import { type EvidenceJson, type EvidenceKind, encodeEvidence } from "@vouchsafe/attestation";
import type { EvidenceSource } from "@vouchsafe/attester";

export interface GatheredEvidence {
  /** The interface that gave it, by its path or address. */
  readonly source: string;
  readonly evidence: EvidenceJson;
}

/** What was found where there is no evidence: one line for each interface, and whether one of them was there. */
export interface NoEvidence {
  readonly isPresent: boolean;
  readonly found: readonly string[];
  readonly remedy?: string;
}

const DCAP_KINDS: readonly EvidenceKind[] = ["sgx", "tdx"];
const CAUSES_MAX = 4;

/**
 * Evidence of the first source that is there, as the launcher of a service chooses: one that is there and gives nothing is a reason to mend it, not
 * to take the next. With `wantsDcap` only sources of SGX and TDX quotes count, and another kind of evidence is none.
 */
export async function chooseAndGather(
  sources: readonly EvidenceSource[],
  request: Parameters<EvidenceSource["gather"]>[0],
  wantsDcap: boolean,
): Promise<GatheredEvidence | NoEvidence> {
  const found: string[] = [];
  for (const source of sources) {
    if (wantsDcap && !source.kinds.some((kind) => DCAP_KINDS.includes(kind))) continue;
    const what = `${source.kinds.join(" or ")} from ${source.name}`;
    const absence = source.absence();
    if (absence !== undefined) {
      found.push(`${what}: ${absence}`);
      continue;
    }
    try {
      const evidence = await source.gather(request);
      if (!wantsDcap || DCAP_KINDS.includes(evidence.kind)) return { source: source.name, evidence: encodeEvidence(evidence) };
      found.push(`${what}: gives ${evidence.kind} evidence, which is no DCAP evidence`);
    } catch (error) {
      const remedy = error instanceof Error && "remedy" in error && typeof error.remedy === "string" ? { remedy: error.remedy } : {};
      return { isPresent: true, found: [...found, `${what}: ${reasonOf(error)}`], ...remedy };
    }
  }
  return { isPresent: false, found };
}

function reasonOf(error: unknown): string {
  const reasons: string[] = [];
  for (let at = error; at instanceof Error && reasons.length < CAUSES_MAX; at = at.cause) reasons.push(at.message);
  return reasons.length === 0 ? String(error) : reasons.join(": ");
}
