import type { CollateralDocument } from "../collateral-document.ts";

/** Keeps documents between runs. What it gives back is verified again before it is used. */
export interface DocumentStore {
  read(key: string): Promise<CollateralDocument | undefined>;
  write(key: string, document: CollateralDocument): Promise<void>;
}
