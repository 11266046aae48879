import type { CollateralRequest } from "./collateral-request.ts";

/** A document as a source gave it: nothing about it is verified, whoever had it before. */
export interface CollateralDocument {
  readonly request: CollateralRequest;
  /** JSON for TCB Info and QE identity, DER for CRLs and VCEKs, PEM (ASK or ASVK, then ARK) for an `amd-chain`. */
  readonly body: Uint8Array;
  /** PEM, signer first: issuer chain of Intel's signed documents and PCK CRLs. */
  readonly chain: Uint8Array | undefined;
  /** When the vendor or a cache of it was asked. */
  readonly fetchedAt: Date;
  /** Name of the source. */
  readonly source: string;
}

/** Largest document that any source may give: the CRL of Intel's platform CA has grown to about a megabyte. */
export const DOCUMENT_MAX_BYTES = 8 * 1024 * 1024;
export const CHAIN_MAX_BYTES = 32 * 1024;

/** Documents as Intel's services or a bundle have them; a CRL also comes as PEM, or as hex of its DER from a PCCS. Throws nothing: what fits none is left. */
export function crlToDer(bytes: Uint8Array): Uint8Array {
  if (bytes[0] === 0x30 && (bytes[1] ?? 0) >= 0x80) return bytes;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1").trim();
  const pem = /^-----BEGIN X509 CRL-----([A-Za-z0-9+/=\s]+)-----END X509 CRL-----$/.exec(text)?.[1];
  if (pem !== undefined) return Buffer.from(pem, "base64");
  return /^(?:[0-9a-fA-F]{2})+$/.test(text) ? Uint8Array.fromHex(text) : bytes;
}
