import { concat } from "../core/bytes.ts";
import { EvidenceError } from "../core/errors.ts";

/** TDREPORT as TDG.MR.REPORT writes it (Intel TDX Module ABI). */
export const TD_LOCAL_REPORT_BYTES = 1024;
/** A quote has about 5 KiB. */
export const QGS_ANSWER_MAX_BYTES = 64 * 1024;
/** The length before a message on a stream: u32, big-endian. */
export const QGS_LENGTH_BYTES = 4;

const HEADER_BYTES = 16;
const RESPONSE_BYTES = HEADER_BYTES + 8;
const MAJOR_VERSION = 1;
const GET_QUOTE_REQUEST = 0;
const GET_QUOTE_RESPONSE = 1;

/** Asks the host's Quote Generation Service for a quote over a local report (Intel DCAP, qgs_msg_lib), with the length before it. */
export function encodeQgsRequest(report: Uint8Array): Uint8Array {
  if (report.length !== TD_LOCAL_REPORT_BYTES) throw new TypeError(`a report of ${report.length} bytes, not ${TD_LOCAL_REPORT_BYTES}`);
  const message = new Uint8Array(HEADER_BYTES + 8);
  const view = new DataView(message.buffer);
  view.setUint16(0, MAJOR_VERSION, true);
  view.setUint32(4, GET_QUOTE_REQUEST, true);
  view.setUint32(8, message.length + report.length, true);
  view.setUint32(16, report.length, true); // the list of key ids behind it stays empty
  return concat(qgsLength(message.length + report.length), message, report);
}

/** What stands before a message of this many bytes. */
export function qgsLength(bytes: number): Uint8Array {
  const length = new Uint8Array(QGS_LENGTH_BYTES);
  new DataView(length.buffer).setUint32(0, bytes);
  return length;
}

/** How long the message behind these four bytes is. Throws EVIDENCE_MALFORMED for one that is longer than an answer can be. */
export function readQgsLength(prefix: Uint8Array): number {
  const bytes = new DataView(prefix.buffer, prefix.byteOffset, QGS_LENGTH_BYTES).getUint32(0);
  if (bytes < RESPONSE_BYTES || bytes > QGS_ANSWER_MAX_BYTES)
    throw malformed(`${bytes} bytes, ${RESPONSE_BYTES} to ${QGS_ANSWER_MAX_BYTES} expected`);
  return bytes;
}

/** The quote out of the service's answer, which stands behind its length. Throws EVIDENCE_MALFORMED, with the service's own error code where it refuses. */
export function parseQgsAnswer(message: Uint8Array): Uint8Array {
  if (message.length < RESPONSE_BYTES) throw malformed(`${message.length} bytes, at least ${RESPONSE_BYTES} expected`);
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  const [major, type, size, error] = [view.getUint16(0, true), ...[4, 8, 12].map((at) => view.getUint32(at, true))];
  if (error !== 0) throw malformed(`it refuses with error code 0x${error?.toString(16)}`);
  if (major !== MAJOR_VERSION) throw malformed(`version ${major}; only ${MAJOR_VERSION} is supported`);
  if (type !== GET_QUOTE_RESPONSE) throw malformed(`a message of type ${type}, not a quote`);
  const [idBytes, quoteBytes] = [view.getUint32(16, true), view.getUint32(20, true)];
  if (size !== message.length || RESPONSE_BYTES + idBytes + quoteBytes !== message.length)
    throw malformed(`its lengths (${size}, ${idBytes}, ${quoteBytes}) do not fit ${message.length} bytes`);
  if (quoteBytes === 0) throw malformed("no quote");
  return message.subarray(RESPONSE_BYTES + idBytes);
}

const malformed = (detail: string): EvidenceError =>
  new EvidenceError("EVIDENCE_MALFORMED", `answer of the Quote Generation Service: ${detail}`, { reason: "parse-error" });
