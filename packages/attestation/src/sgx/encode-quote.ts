import { createPublicKey, hash, type KeyObject, sign } from "node:crypto";

/** A quote before it is signed. Whoever certified `pckKey` says what it is worth. */
export interface QuoteParts {
  readonly version: number;
  /** 48 bytes. */
  readonly header: Uint8Array;
  /** Report body; from version 5 on with its type and length. */
  readonly body: Uint8Array;
  /** P-256; signs header and body. */
  readonly attestationKey: KeyObject;
  /** Stands in the quote in place of the attestation key: x and y. */
  readonly attestationPoint?: Uint8Array;
  readonly authenticationData: Uint8Array;
  /** Report of the quoting enclave (384 bytes), which names `boundKey` in its report data. */
  readonly qeReport: (boundKey: Uint8Array) => Uint8Array;
  /** P-256; signs the report of the quoting enclave. */
  readonly pckKey: KeyObject;
  /** PEM: PCK certificate, PCK CA, root. */
  readonly pckChain: Uint8Array;
}

const INTEL_QE_VENDOR = Buffer.from("939a7233f79c4ca9940a0db3957f0607", "hex");
const QE_REPORT_CERTIFICATION = 6;
const PCK_CHAIN_PEM = 5;

/** Header of a quote by Intel's quoting enclave with an ECDSA P-256 key. `platform`: 16 bytes that name it. */
export function encodeQuoteHeader(version: number, tee: "sgx" | "tdx", platform: Uint8Array): Buffer {
  const header = Buffer.alloc(48);
  header.writeUInt16LE(version, 0);
  header.writeUInt16LE(2, 2);
  header.writeUInt32LE(tee === "sgx" ? 0 : 0x81, 4);
  INTEL_QE_VENDOR.copy(header, 12);
  header.set(platform.subarray(0, 16), 28);
  return header;
}

/** Lays out and signs a quote of version 3 to 5, the reverse of `parseQuote`. */
export function encodeQuote(parts: QuoteParts): Uint8Array {
  const { version, attestationKey, authenticationData, pckKey, pckChain } = parts;
  const signed = Buffer.concat([parts.header, parts.body]);
  const point = parts.attestationPoint ?? createPublicKey(attestationKey).export({ type: "spki", format: "der" }).subarray(-64);
  const qeReport = parts.qeReport(hash("sha256", Buffer.concat([point, authenticationData]), "buffer"));
  const inner = Buffer.concat([
    ...[qeReport, rawSign(qeReport, pckKey), uint(authenticationData.length, 2), authenticationData],
    ...[uint(PCK_CHAIN_PEM, 2), uint(pckChain.length, 4), pckChain],
  ]);
  const wrapped = version === 3 ? inner : Buffer.concat([uint(QE_REPORT_CERTIFICATION, 2), uint(inner.length, 4), inner]);
  const signatureData = Buffer.concat([rawSign(signed, attestationKey), point, wrapped]);
  return Buffer.concat([signed, uint(signatureData.length, 4), signatureData]);
}

const rawSign = (bytes: Uint8Array, key: KeyObject): Buffer => sign("sha256", bytes, { key, dsaEncoding: "ieee-p1363" });

/** Little-endian. */
function uint(value: number, width: 2 | 4): Buffer {
  const bytes = Buffer.alloc(width);
  bytes.writeUIntLE(value, 0, width);
  return bytes;
}
