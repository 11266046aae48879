import { ByteCursor } from "./byte-cursor.ts";
import { concat, encodeUtf8, isSameBytes, u16 } from "./bytes.ts";
import { EvidenceError } from "./errors.ts";
import type { Workload } from "./evidence.ts";

const LABEL = "vouchsafe/workload/1";
const FIELD_MAX_BYTES = 1024;
const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * The bytes that stand for a workload where hardware has room for one digest only (host data, a PCR, a configuration id): label, image
 * digest, file-system tag and program, each with its length (u16, big-endian) before it. Their hash is what gets measured.
 */
export function encodeWorkload({ imageDigest, fileSystemTag, program = "" }: Workload): Uint8Array {
  return concat(...[LABEL, imageDigest, fileSystemTag, program].map(counted));
}

/** Reads what `encodeWorkload` writes. Proves nothing until its hash is found where the hardware measured it. Throws EVIDENCE_MALFORMED. */
export function parseWorkload(bytes: Uint8Array): Workload {
  const malformed = (detail: string) => new EvidenceError("EVIDENCE_MALFORMED", `workload: ${detail}`, { reason: "parse-error" });
  const cursor = new ByteCursor(bytes, malformed);
  const text = (field: string, form: RegExp): string => {
    const [high = 0, low = 0] = cursor.take(2, `${field} length`);
    const length = high * 256 + low;
    if (length > FIELD_MAX_BYTES) throw malformed(`${field} of ${length} bytes, at most ${FIELD_MAX_BYTES} allowed`);
    const value = UTF8.decode(cursor.take(length, field));
    if (!form.test(value) || value.includes("\ufffd")) throw malformed(`${field} is not as it has to be`);
    return value;
  };
  text("label", /^vouchsafe\/workload\/1$/);
  const imageDigest = text("image digest", /^sha256:[0-9a-f]{64}$/);
  const fileSystemTag = text("file-system tag", /^(?:[0-9a-f]{2}){0,64}$/);
  const program = text("program", /^[^\u0000-\u001f]*$/);
  if (cursor.left > 0) throw malformed(`${cursor.left} bytes follow the program`);
  return { imageDigest, fileSystemTag, ...(program === "" ? {} : { program }) };
}

/** That `measured` is `digest`, the hash of a workload in the algorithm of its place. Throws EVIDENCE_SIGNATURE. */
export function assertWorkloadMeasured(place: string, measured: Uint8Array | undefined, digest: Uint8Array): void {
  if (measured !== undefined && isSameBytes(measured, digest)) return;
  throw new EvidenceError("EVIDENCE_SIGNATURE", `workload: ${place} is not the hash of the workload that came along`, {
    reason: "runtime-data-mismatch",
    field: place,
    expected: digest.toHex(),
    found: measured?.toHex() ?? "no value",
  });
}

function counted(text: string): Uint8Array {
  const bytes = encodeUtf8(text);
  if (bytes.length > FIELD_MAX_BYTES) throw new TypeError(`field of ${bytes.length} bytes, at most ${FIELD_MAX_BYTES} allowed`);
  return concat(u16(bytes.length), bytes);
}
