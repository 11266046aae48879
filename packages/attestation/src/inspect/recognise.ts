import { decodeAscii } from "../core/bytes.ts";
import { EvidenceError } from "../core/errors.ts";
import type { Evidence, EvidenceKind } from "../core/evidence.ts";
import { decodeEvidence } from "../core/evidence.ts";
import { SNP_REPORT_BYTES } from "../snp/snp-report.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { findCertificateEvidence } from "./certificate-evidence.ts";

/** Formats that can be told apart by their first bytes. Not all are Evidence by themselves: logs and HCL reports are parts of some. */
export type RecognisedFormat = EvidenceKind | "azure-hcl" | "event-log" | "dstack-event-log";

export interface Recognised {
  readonly format: RecognisedFormat;
  readonly bytes: Uint8Array;
  readonly endorsements?: ReadonlyMap<string, Uint8Array>;
}

const TEXT_MAX_BYTES = 8 * 1024 * 1024;
/** Of an unknown file so many bytes are shown. */
const HEAD_BYTES = 8;
const CERTIFICATES_MAX = 20;
const NODE_LABEL = "vouchsafe/node-statement/";
const unknown = (detail: string) =>
  new EvidenceError("EVIDENCE_MALFORMED", `evidence: ${detail}`, {
    reason: "parse-error",
    remedy:
      "Give an SGX or TDX quote, an SNP report, a TPM quote, a Nitro document, a node statement, an HCL report or an event log, as bytes, hex, base64 or PEM, or Evidence as JSON.",
  });

function notKnown(bytes: Uint8Array, how: string): EvidenceError {
  const begin = bytes.length === 0 ? "" : ` that begin with ${bytes.subarray(0, HEAD_BYTES).toHex()}`;
  return unknown(`${bytes.length} bytes${begin}${how} are no format that is known here`);
}

/**
 * Finds out what a file holds, for people who look at it: raw bytes, hex, base64, a PEM block, or the JSON that goes over the wire. A guess that
 * decides nothing; the service that releases secrets goes by the wire type alone. Throws EVIDENCE_MALFORMED.
 */
export function recogniseEvidence(file: Uint8Array): Recognised {
  const raw = recogniseBytes(file);
  if (raw !== undefined) return raw;
  if (file.length > TEXT_MAX_BYTES) throw notKnown(file, "");
  const text = decodeAscii(file).trim();
  if (text.startsWith("{") || text.startsWith("[")) return recogniseJson(file);
  const certificates = pemBlocks(text, "CERTIFICATE");
  if (certificates.length > 0) return recogniseCertificates(certificates);
  const decoded = decodeText(text);
  const inner = decoded === undefined ? undefined : recogniseBytes(decoded);
  if (inner === undefined) throw decoded === undefined || text === "" ? notKnown(file, "") : notKnown(decoded, ", decoded from text,");
  return inner;
}

/** Bytes by themselves, or those inside an attested TLS certificate. */
function recogniseBytes(bytes: Uint8Array): Recognised | undefined {
  const isCertificate = bytes[0] === 0x30 && (bytes[1] ?? 0) >= 0x82;
  const carried = isCertificate ? findCertificateEvidence(parseCertificate(bytes)) : bytes;
  if (carried === undefined) throw unknown("a certificate that carries no quote");
  return recogniseHead(carried);
}

function recogniseHead(bytes: Uint8Array): Recognised | undefined {
  const format = formatOf(bytes);
  return format === undefined ? undefined : { format, bytes };
}

/** An attested TLS certificate, perhaps with its issuers, in any order. */
function recogniseCertificates(blocks: readonly Uint8Array[]): Recognised {
  for (const block of blocks) {
    const carried = findCertificateEvidence(parseCertificate(block));
    const found = carried === undefined ? undefined : recogniseHead(carried);
    if (found !== undefined) return found;
  }
  throw unknown(
    blocks.length === 1 ? "a certificate that carries no quote" : `${blocks.length} certificates, none of which carries a quote`,
  );
}

function recogniseJson(file: Uint8Array): Recognised {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(file));
  } catch (cause) {
    throw new EvidenceError("EVIDENCE_MALFORMED", "evidence: begins like JSON, but is not", { reason: "parse-error", cause });
  }
  if (Array.isArray(json)) return { format: "dstack-event-log", bytes: file };
  const { kind, bytes, endorsements }: Evidence = decodeEvidence(json);
  return { format: kind, bytes, ...(endorsements === undefined ? {} : { endorsements }) };
}

function formatOf(bytes: Uint8Array): RecognisedFormat | undefined {
  const head = bytes.subarray(0, 64);
  if (head.length < 16) return undefined;
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  const text = decodeAscii(head);
  const [first, tee] = [view.getUint16(0, true), view.getUint32(4, true)];
  if (view.getUint32(0) === 0xff544347) return "tpm";
  if (text.startsWith("HCLA")) return "azure-hcl";
  if (text.startsWith(NODE_LABEL, 2)) return "node";
  if (bytes.length === SNP_REPORT_BYTES && view.getUint32(0, true) <= 8) return "snp";
  if (first >= 3 && first <= 5 && (tee === 0 || tee === 0x81)) return tee === 0 ? "sgx" : "tdx";
  if ((head[0] === 0x84 && head[1] === 0x44) || (head[0] === 0xd2 && head[1] === 0x84)) return "nitro";
  if (/^.(?:sgx|tdx|snp|nitro|tpm)/s.test(text) && (head[0] ?? 0) <= 5) return "simulated";
  const isLogHeader = tee === 3 && head.subarray(8, 28).every((byte) => byte === 0);
  return isLogHeader ? "event-log" : undefined;
}

/** Blocks of a PEM text; what stands around them, such as a certificate in words, is passed over. Those that are not base64 are none. */
function pemBlocks(text: string, label: string): readonly Uint8Array[] {
  const bodies = text.split(`-----BEGIN ${label}-----`).slice(1, 1 + CERTIFICATES_MAX);
  return bodies.flatMap((body) => decodeText(body.split(`-----END ${label}-----`)[0] ?? "") ?? []);
}

function decodeText(text: string): Uint8Array | undefined {
  const body = text.replace(/-----(?:BEGIN|END) [A-Z0-9 ]{1,40}-----/g, "").replace(/\s+/g, "");
  const hex = body.replace(/^0x/, "");
  if (hex.length % 2 === 0 && /^[0-9a-fA-F]+$/.test(hex)) return Uint8Array.fromHex(hex);
  try {
    return Uint8Array.fromBase64(body, { alphabet: /[-_]/.test(body) ? "base64url" : "base64" });
  } catch {
    return undefined; // not base64 either: the caller says so
  }
}
