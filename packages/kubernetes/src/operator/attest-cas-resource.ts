import { type CasClient, type CasVerdict, type OpenCredential, ProtocolError, type VerifiedCasStatement } from "@vouchsafe/protocol";
import type { CasResource } from "../custom-resources/resources.ts";
import { type CasProbe, probeCas } from "./cas-probe.ts";

/** Judges the evidence that a CAS gave, as its resource wants it. Given by the program, since documents of vendors come from elsewhere. */
export type JudgeCasResource = (
  cas: CasResource,
  attested: VerifiedCasStatement,
  openCredential: OpenCredential | undefined,
) => Promise<CasVerdict>;

type Answered = Extract<CasProbe, { kind: "answered" }>;
/** What a CAS said about itself, and what its evidence came to. */
export type AttestedCas = Exclude<CasProbe, Answered> | (Answered & { readonly verdict: CasVerdict });

/** Asks a CAS for its statement about the nonce of its resource, a fresh one unless given, and judges statement, key and evidence (C-64 to C-70). */
export async function attestCasResource(client: CasClient, cas: CasResource, judge: JudgeCasResource, now: Date): Promise<AttestedCas> {
  const probe = await probeCas(client, now, cas.spec.nonce);
  if (probe.kind !== "answered") return probe;
  const { casKeyHash } = cas.spec.attestation;
  if (casKeyHash !== undefined && casKeyHash !== probe.keyHash) {
    return { ...probe, verdict: refusal(`key does not match: ${probe.keyHash}; expected ${casKeyHash}`) };
  }
  try {
    return { ...probe, verdict: await judge(cas, probe.attested, (credential) => client.openCredential(credential)) };
  } catch (error) {
    if (error instanceof ProtocolError) return { kind: "unreachable", message: error.message }; // it ended in the middle of the conversation
    // A certificate in the resource that is none, a ConfigMap that cannot be read: nothing was proven.
    return { ...probe, verdict: refusal(error instanceof Error ? error.message : String(error)) };
  }
}

const refusal = (problem: string): CasVerdict => ({ kind: "refused", problems: [problem], acceptedBy: undefined, remedy: undefined });
