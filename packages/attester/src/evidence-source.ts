import type { Evidence, EvidenceKind } from "@vouchsafe/attestation";

/** A TPM's attestation key that is to be certified, and how the TPM opens a credential for it (TPM 2.0 Library, part 1, §24). */
export interface KeyToCertify {
  /** TPMT_PUBLIC, base64. */
  readonly endorsementKey: string;
  /** DER, base64: the maker's certificate for that key, and intermediates; empty where the TPM has none. */
  readonly endorsementCertificates: string[];
  /** TPMT_PUBLIC, base64. */
  readonly attestationKey: string;
  readonly activate: (idObject: Uint8Array, encryptedSecret: Uint8Array) => Promise<Uint8Array>;
}

/** Gets a certificate (DER) for an attestation key from whoever is going to verify the Evidence. */
export type CertifyKey = (key: KeyToCertify) => Promise<Uint8Array>;

/** What Evidence is asked for. */
export interface EvidenceRequest {
  /** 64 bytes that the Evidence has to cover: the channel binding. */
  readonly userData: Uint8Array;
  /** What the platform measured of the program (`encodeWorkload`), where it measures only a digest; undefined where nobody left it. */
  readonly workload: Uint8Array | undefined;
  /**
   * Has the verifier certify the attestation key of a TPM. Undefined where no verifier is at the other end: then the endorsement key comes along
   * instead of a certificate, and `openTpmCredential` shows later that both keys are in one TPM.
   */
  readonly certifyKey: CertifyKey | undefined;
}

/** A way to get Evidence from the platform. */
export interface EvidenceSource {
  /** What it can give; an agent may imitate hardware in development. */
  readonly kinds: readonly EvidenceKind[];
  /** The interface by its path, for the log. */
  readonly name: string;
  /** Why it cannot be used here; undefined where it can. Only looks whether it is there. */
  readonly absence: () => string | undefined;
  /** Throws AttesterError. */
  readonly gather: (request: EvidenceRequest) => Promise<Evidence>;
}
