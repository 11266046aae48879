import { concat } from "../core/bytes.ts";
import { DER, DerReader } from "../x509/der-reader.ts";

/**
 * Turns ECDSA-Sig-Value (RFC 3279 §2.2.3) into r and s side by side, which is all that WebCrypto takes. Undefined for what is no signature on
 * such a curve: bytes that are not DER, integers that are negative or longer than a coordinate, which OpenSSL refuses as well.
 */
export function toSideBySide(signature: Uint8Array, coordinateBytes: number): Uint8Array | undefined {
  try {
    const document = new DerReader(signature, "signature", (detail) => new RangeError(detail));
    const reader = document.open(DER.sequence, "signature");
    document.finish();
    const parts = ["r", "s"].map((field) => unsigned(reader.integer(field), coordinateBytes));
    reader.finish();
    const [r, s] = parts;
    return r === undefined || s === undefined ? undefined : concat(r, s);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function unsigned(integer: Uint8Array, length: number): Uint8Array | undefined {
  if ((integer[0] ?? 0) >= 0x80) return undefined;
  const significant = integer[0] === 0 ? integer.subarray(1) : integer;
  return significant.length > length ? undefined : concat(new Uint8Array(length - significant.length), significant);
}
