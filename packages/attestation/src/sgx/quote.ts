import { ByteCursor } from "../core/byte-cursor.ts";
import { EvidenceError, type EvidenceReason, type Mismatch } from "../core/errors.ts";
import { parseTdReport, TD_REPORT_10_BYTES, TD_REPORT_15_BYTES, TD_REPORT_15_EX_BYTES, type TdReport } from "../tdx/td-report.ts";
import { parseSgxReport, SGX_REPORT_BYTES, type SgxReport } from "./sgx-report.ts";

/** A quote of Intel DCAP, version 3, 4 or 5, taken apart: nothing is verified. Byte fields are views into the quote. */
export interface Quote {
  readonly version: number;
  readonly attestationKeyType: number;
  readonly tee: "sgx" | "tdx";
  readonly qeVendorId: Uint8Array;
  /** 20 bytes; the first 16 name the quoting enclave's platform. */
  readonly userData: Uint8Array;
  readonly body: QuoteBody;
  /** Header and body exactly as received: what the attestation key signed. */
  readonly signedBytes: Uint8Array;
  /** r and s. */
  readonly signature: Uint8Array;
  /** x and y of a P-256 point. */
  readonly attestationKey: Uint8Array;
  readonly qeReport: SgxReport;
  readonly qeReportBytes: Uint8Array;
  readonly qeReportSignature: Uint8Array;
  readonly qeAuthenticationData: Uint8Array;
  readonly certificationData: CertificationData;
  /** Zero bytes behind the quote, which nobody signed. */
  readonly paddingBytes: number;
}

export type QuoteBody =
  | { readonly kind: "SgxEnclave"; readonly report: SgxReport }
  | { readonly kind: "TD10" | "TD15" | "TD15Ex"; readonly report: TdReport };

export interface CertificationData {
  /** 5: the PCK certificate chain in PEM. 1 to 3 name the platform only. */
  readonly type: number;
  readonly data: Uint8Array;
}

const QUOTE_MAX_BYTES = 256 * 1024;
const ECDSA_P256 = 2;
const TEE_TYPES = new Map<number, "sgx" | "tdx">([
  [0x00, "sgx"],
  [0x81, "tdx"],
]);
/** Body types of version 5. */
const BODY_TYPES = new Map<number, { readonly kind: QuoteBody["kind"]; readonly tee: "sgx" | "tdx"; readonly bytes: number }>([
  [1, { kind: "SgxEnclave", tee: "sgx", bytes: SGX_REPORT_BYTES }],
  [2, { kind: "TD10", tee: "tdx", bytes: TD_REPORT_10_BYTES }],
  [3, { kind: "TD15", tee: "tdx", bytes: TD_REPORT_15_BYTES }],
  [4, { kind: "TD15Ex", tee: "tdx", bytes: TD_REPORT_15_EX_BYTES }],
]);
const INTEL_QE_VENDOR = "939a7233f79c4ca9940a0db3957f0607";
const QE_REPORT_CERTIFICATION = 6;
const CERTIFICATION_TYPE_MAX = 7;

const refuse = (reason: EvidenceReason, detail: string, mismatch: Mismatch = {}) =>
  new EvidenceError("EVIDENCE_MALFORMED", `quote: ${detail}`, { reason, ...mismatch });
const malformed = (detail: string) => refuse("parse-error", detail);

/**
 * Splits a quote; zero bytes may follow it, as buffers of quoting libraries have them. Layout: Intel SGX ECDSA QuoteLibReference, appendix A
 * (version 3), Intel TDX DCAP Quoting Library API, appendix A.3 (versions 4 and 5). Throws EVIDENCE_MALFORMED.
 */
export function parseQuote(bytes: Uint8Array): Quote {
  if (bytes.length > QUOTE_MAX_BYTES) throw malformed(`${bytes.length} bytes, at most ${QUOTE_MAX_BYTES} allowed`);
  const cursor = new ByteCursor(bytes, malformed);
  const header = readHeader(cursor);
  const body = readBody(cursor, header);
  const signedBytes = bytes.subarray(0, bytes.length - cursor.left);
  const signatureData = readSignatureData(cursor.take(cursor.uint(4, "signature length"), "signature data"), header.version);
  const paddingBytes = cursor.left;
  assertZero(cursor, "signature");
  return { ...header, body, signedBytes, ...signatureData, paddingBytes };
}

function readHeader(cursor: ByteCursor) {
  const version = cursor.uint(2, "version");
  if (version < 3 || version > 5) {
    const compared = { field: "version", expected: "3 to 5", found: String(version) };
    throw refuse("unsupported-version", `version ${version} is not supported, only 3 to 5 are`, compared);
  }
  const attestationKeyType = cursor.uint(2, "attestation key type");
  const teeType = cursor.uint(4, "TEE type");
  const tee = TEE_TYPES.get(teeType);
  if (tee === undefined || (version === 3 && tee !== "sgx")) {
    const [expected, found] = [version === 3 ? "0x0 (SGX)" : "0x0 (SGX) or 0x81 (TDX)", `0x${teeType.toString(16)}`];
    throw refuse("unsupported-tee", `TEE type ${found} is not supported in version ${version}`, { field: "TEE type", expected, found });
  }
  if (attestationKeyType !== ECDSA_P256) {
    const compared = { field: "attestation key type", expected: `${ECDSA_P256} (ECDSA P-256)`, found: String(attestationKeyType) };
    throw refuse(
      "unsupported-algorithm",
      `attestation key type ${attestationKeyType}; only ECDSA P-256 (${ECDSA_P256}) is supported`,
      compared,
    );
  }
  cursor.take(4, "QE and PCE SVN"); // unsigned hints; the certificate and the QE report say it with a signature
  const qeVendorId = cursor.take(16, "QE vendor id");
  if (qeVendorId.toHex() !== INTEL_QE_VENDOR) {
    const compared = { field: "QE vendor id", expected: INTEL_QE_VENDOR, found: qeVendorId.toHex() };
    throw refuse("unsupported-qe-vendor", "the quoting enclave is not Intel's", compared);
  }
  return { version, attestationKeyType, tee, qeVendorId, userData: cursor.take(20, "user data") };
}

function readBody(cursor: ByteCursor, { version, tee }: { readonly version: number; readonly tee: "sgx" | "tdx" }): QuoteBody {
  const type = version === 5 ? cursor.uint(2, "body type") : tee === "sgx" ? 1 : 2;
  const body = BODY_TYPES.get(type);
  if (body === undefined) {
    const compared = { field: "body type", expected: "1 (SGX), 2 (TDX 1.0), 3 or 4 (TDX 1.5)", found: String(type) };
    throw refuse("unsupported-tee", `body type ${type} is not supported`, compared);
  }
  if (body.tee !== tee) throw malformed(`body type ${type} does not belong to the TEE type in the header`);
  if (version === 5) {
    const length = cursor.uint(4, "body length");
    if (length !== body.bytes) throw malformed(`body of ${length} bytes, type ${type} has ${body.bytes}`);
  }
  const bytes = cursor.take(body.bytes, "body");
  return body.kind === "SgxEnclave"
    ? { kind: body.kind, report: parseSgxReport(bytes) }
    : { kind: body.kind, report: parseTdReport(bytes) };
}

function readSignatureData(bytes: Uint8Array, version: number) {
  const outer = new ByteCursor(bytes, malformed);
  const signature = outer.take(64, "signature");
  const attestationKey = outer.take(64, "attestation key");
  const cursor = version === 3 ? outer : openQeCertification(outer);
  const qeReportBytes = cursor.take(SGX_REPORT_BYTES, "QE report");
  const read = {
    signature,
    attestationKey,
    qeReport: parseSgxReport(qeReportBytes),
    qeReportBytes,
    qeReportSignature: cursor.take(64, "QE report signature"),
    qeAuthenticationData: cursor.take(cursor.uint(2, "length of the QE authentication data"), "QE authentication data"),
    certificationData: readCertificationData(cursor),
  };
  assertZero(cursor, "certification data");
  if (cursor !== outer) assertZero(outer, "QE report certification data");
  return read;
}

/** From version 4 on, everything after the attestation key is wrapped once more. */
function openQeCertification(outer: ByteCursor): ByteCursor {
  const { type, data } = readCertificationData(outer);
  if (type !== QE_REPORT_CERTIFICATION) {
    throw refuse("unsupported-certification-data", `certification data of type ${type}, expected ${QE_REPORT_CERTIFICATION}`);
  }
  return new ByteCursor(data, malformed);
}

function readCertificationData(cursor: ByteCursor): CertificationData {
  const type = cursor.uint(2, "certification data type");
  if (type === 0 || type > CERTIFICATION_TYPE_MAX)
    throw refuse("unsupported-certification-data", `certification data type ${type} is unknown`);
  return { type, data: cursor.take(cursor.uint(4, "length of the certification data"), "certification data") };
}

function assertZero(cursor: ByteCursor, field: string): void {
  const rest = cursor.take(cursor.left, "rest");
  const at = rest.findIndex((octet) => octet !== 0);
  if (at < 0) return;
  const found = `0x${rest[at]?.toString(16)} at byte ${at} of the ${rest.length} that follow`;
  const compared = { field: `bytes behind the ${field}`, expected: "none, or zeros alone", found };
  throw refuse("trailing-data", `bytes that are not zero follow the ${field}: ${found}`, compared);
}
