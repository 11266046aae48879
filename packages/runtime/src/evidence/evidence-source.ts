import type { Evidence, EvidenceKind } from "@vouchsafe/attestation";
import type { CertifyKey } from "@vouchsafe/protocol";

/** What Evidence is asked for. */
export interface EvidenceRequest {
  /** 64 bytes that the Evidence has to cover: the channel binding. */
  readonly userData: Uint8Array;
  /** What the platform measured of the program (`encodeWorkload`), where it measures only a digest; undefined where nobody left it. */
  readonly workload: Uint8Array | undefined;
  /** Has the CAS certify the attestation key of a TPM. */
  readonly certifyKey: CertifyKey;
}

/** A way to get Evidence from the platform. */
export interface EvidenceSource {
  /** What it can give; an agent may imitate hardware in development. */
  readonly kinds: readonly EvidenceKind[];
  /** The interface by its path, for the log. */
  readonly name: string;
  /** Why it cannot be used here; undefined where it can. Only looks whether it is there. */
  readonly absence: () => string | undefined;
  /** Throws RuntimeError R-EVIDENCE. */
  readonly gather: (request: EvidenceRequest) => Promise<Evidence>;
}
