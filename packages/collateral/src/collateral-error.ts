import { OperationalError } from "@vouchsafe/attestation";

/**
 * UNAVAILABLE: no source gave an acceptable document. UNREACHABLE: one source did not answer, or answered beyond a limit. REFUSED: a document
 * is not what was asked for: other issuer, bad signature, other platform, expired, older than one seen before. BUNDLE: a file is no bundle.
 * CACHE: the cache directory cannot be used.
 */
export class CollateralError extends OperationalError<
  "COLLATERAL_UNAVAILABLE" | "COLLATERAL_UNREACHABLE" | "COLLATERAL_REFUSED" | "COLLATERAL_BUNDLE" | "COLLATERAL_CACHE"
> {}
