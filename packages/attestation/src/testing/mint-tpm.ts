import { type KeyObject, sign } from "node:crypto";
import { encodeTpmQuote } from "../tpm/encode-tpm-quote.ts";

export interface MintedQuote {
  readonly extraData: Uint8Array;
  /** SHA-256 bank. */
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
  readonly magic?: number;
}

/** A TPMS_ATTEST over PCRs of the SHA-256 bank, and its bare RSASSA signature with SHA-256. */
export function mintTpmQuote(
  { extraData, pcrs, magic }: MintedQuote,
  privateKey: KeyObject,
): { message: Uint8Array; signature: Uint8Array } {
  const message = encodeTpmQuote(extraData, pcrs, magic);
  return { message, signature: sign("sha256", message, privateKey) };
}
