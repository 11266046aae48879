import type { IntelCollateralSource } from "../collateral/intel-documents.ts";
import type { VerificationCache } from "../collateral/verification-cache.ts";
import type { EvidenceKind } from "./evidence.ts";

/**
 * What the Relying Party trusts, by kind: DER certificates of vendor roots; for `node` the DER SubjectPublicKeyInfo of enrolled agents.
 * A kind that is absent or empty is trusted from nobody. Evidence never adds to this.
 */
export type TrustAnchors = Readonly<Partial<Record<EvidenceKind, readonly Uint8Array[]>>>;

/** Endorsements that come another way than the Evidence. */
export interface Collateral {
  /** Intel's documents for SGX and TDX. */
  readonly intel?: IntelCollateralSource;
  /** Certificates, revocation lists and the like of the other kinds, by name. */
  readonly documents?: ReadonlyMap<string, Uint8Array>;
}

/** How new Intel's documents have to be, besides their own dates. A document that is too old is refused with `collateral-expired`. */
export interface IntelFreshness {
  /** Days since a document was issued: a host that replays old but valid collateral hides newer findings (C-49). */
  readonly maxAgeDays?: number;
  /** The highest evaluation number seen so far: an older evaluation is refused. */
  readonly minEvaluationNumber?: number;
}

/** Everything verification depends on besides the Evidence: no clock, no network, no settings elsewhere. */
export interface VerificationContext {
  readonly now: Date;
  readonly trustAnchors: TrustAnchors;
  readonly collateral: Collateral;
  /** What Intel's documents must satisfy besides their own dates; nothing unless told. */
  readonly intelFreshness?: IntelFreshness;
  /**
   * Gives up a part of the proof, for looking at Evidence whose collateral is lost: `no-revocation-check`, or `signature-chain-only` where no
   * collateral is at hand (the TCB status is then `Unknown`). Never set by the service that releases secrets.
   */
  readonly insecure?: "no-revocation-check" | "signature-chain-only";
  /** Parsed collateral and verified chains from earlier calls. Verdicts are never kept. */
  readonly cache?: VerificationCache;
}
