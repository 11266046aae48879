import type { CollateralRequest } from "../collateral-request.ts";

/** What one source answers. */
export interface SourceAnswer {
  readonly body: Uint8Array;
  readonly chain: Uint8Array | undefined;
  /** When the vendor gave it, where the source is a store of older answers; else it counts as given now. */
  readonly fetchedAt?: Date;
}

/** A place to ask for documents. Nothing that it gives is trusted. */
export interface CollateralSource {
  /** For messages, metrics and `source` of a document; no credentials in it. */
  readonly name: string;
  /** A network answer, or undefined when this source does not have the document or is not for its vendor. Throws CollateralError COLLATERAL_UNREACHABLE. */
  fetch(request: CollateralRequest, signal: AbortSignal): Promise<SourceAnswer | undefined>;
}
