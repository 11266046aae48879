import { concat, encodeUtf8 } from "../core/bytes.ts";
import { EvidenceError } from "../core/errors.ts";
import { decodeStrictCbor } from "../core/strict-cbor.ts";

/** Limits of the Nitro Secure Module's interface. */
export const NSM_REQUEST_MAX_BYTES = 0x1000;
export const NSM_RESPONSE_MAX_BYTES = 0x3000;
const USER_DATA_MAX_BYTES = 512;

/** CBOR of the request for an attestation document over `userData` (AWS Nitro Enclaves NSM API, `Request::Attestation`). */
export function encodeNsmAttestation(userData: Uint8Array): Uint8Array {
  if (userData.length > USER_DATA_MAX_BYTES)
    throw new TypeError(`user data of ${userData.length} bytes, at most ${USER_DATA_MAX_BYTES} fit`);
  const length =
    userData.length < 24
      ? [0x40 | userData.length]
      : userData.length < 256
        ? [0x58, userData.length]
        : [0x59, userData.length >> 8, userData.length & 0xff];
  return concat(
    ...[Uint8Array.of(0xa1), text("Attestation"), Uint8Array.of(0xa3)],
    ...[text("user_data"), Uint8Array.from(length), userData],
    ...[text("nonce"), Uint8Array.of(0xf6), text("public_key"), Uint8Array.of(0xf6)],
  );
}

/** The document out of the module's answer. Throws EVIDENCE_MALFORMED, with the module's own word where it refuses. */
export function parseNsmAttestation(bytes: Uint8Array): Uint8Array {
  const malformed = (detail: string) =>
    new EvidenceError("EVIDENCE_MALFORMED", `answer of the Nitro module: ${detail}`, { reason: "parse-error" });
  const { value } = decodeStrictCbor(bytes, { maxBytes: NSM_RESPONSE_MAX_BYTES, allowIndefinite: false }, malformed);
  if (!(value instanceof Map)) throw malformed("no map");
  const answer: unknown = value.get("Attestation");
  const document: unknown = answer instanceof Map ? answer.get("document") : undefined;
  if (document instanceof Uint8Array) return document;
  const error: unknown = value.get("Error");
  throw malformed(typeof error === "string" ? `it refuses with ${error.slice(0, 40)}` : "no document");
}

/** Texts of less than 24 bytes. */
const text = (value: string): Uint8Array => concat(Uint8Array.of(0x60 | value.length), encodeUtf8(value));
