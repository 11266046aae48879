import type { SimulatedKind } from "@vouchsafe/attestation";
import { type EvidenceSource, hardwareSources, openTpmCredential, type TpmAddress } from "@vouchsafe/attester";
import { SoftwarePlatform } from "../development/software-platform.ts";

/** What gives evidence about the platform of this CAS. */
export interface OwnPlatform {
  readonly source: EvidenceSource;
  /** Has its TPM open a credential; undefined where the evidence is not that of a TPM. */
  readonly openCredential: ((idObject: Uint8Array, encryptedSecret: Uint8Array) => Promise<Uint8Array>) | undefined;
}

export interface OwnPlatformOptions {
  /** Only a TPM that was named is used: every machine has one, and what it measured says little where the CAS does not boot with the machine. */
  readonly tpm?: TpmAddress | undefined;
  /** DEVELOPMENT ONLY: imitates hardware that is not there. */
  readonly simulated?: { readonly directory: string; readonly kind: SimulatedKind } | undefined;
}

/** A CAS is measured as part of its image; where nobody says which, its simulated evidence names this one. */
const SIMULATED_WORKLOAD = { imageDigest: `sha256:${"0".repeat(64)}`, fileSystemTag: "", program: "cas" };

/** The hardware that is here, in the order of what it proves, else what is imitated; undefined where there is nothing. */
export function findOwnPlatform({ tpm, simulated }: OwnPlatformOptions, candidates = hardwareSources(tpm)): OwnPlatform | undefined {
  const source =
    candidates.find((candidate) => candidate.absence() === undefined) ??
    (simulated && simulatedSource(simulated.directory, simulated.kind));
  if (source === undefined) return undefined;
  const isTpm = tpm !== undefined && source.kinds.includes("tpm");
  return {
    source,
    openCredential: isTpm ? (idObject, encryptedSecret) => openTpmCredential(tpm, { idObject, encryptedSecret }) : undefined,
  };
}

function simulatedSource(directory: string, kind: SimulatedKind): EvidenceSource {
  const platform = new SoftwarePlatform(directory, kind);
  return {
    kinds: ["simulated"],
    name: directory,
    absence: () => undefined,
    gather: async ({ userData }) => platform.vouchFor(SIMULATED_WORKLOAD)(userData),
  };
}
