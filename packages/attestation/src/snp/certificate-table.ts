import { EvidenceError } from "../core/errors.ts";

/** Certificates that a host gives to its guest beside a report (GHCB specification, §4.1.8.1), DER, by name; unknown ones are left out. */
export type SnpCertificates = ReadonlyMap<"VCEK" | "VLEK" | "ASK" | "ARK", Uint8Array>;

const ENTRY_BYTES = 24;
const ENTRIES_MAX = 16;
const GUIDS = new Map<string, "VCEK" | "VLEK" | "ASK" | "ARK">([
  ["63da758d-e664-4564-adc5-f4b93be8accd", "VCEK"],
  ["a8074bc2-a25a-483e-aae6-39c045a0b8a1", "VLEK"],
  ["4ab7b379-bbac-4fe4-a02f-05aef327c782", "ASK"],
  ["c0b406a4-a803-4952-9743-3fb6014cd0ae", "ARK"],
]);

const malformed = (detail: string) =>
  new EvidenceError("EVIDENCE_MALFORMED", `SNP certificate table: ${detail}`, { reason: "parse-error" });

/** Splits the table: entries of GUID, offset and length, ended by one of zeros, then the certificates. Throws EVIDENCE_MALFORMED. */
export function parseSnpCertificateTable(bytes: Uint8Array): SnpCertificates {
  const found = new Map<"VCEK" | "VLEK" | "ASK" | "ARK", Uint8Array>();
  for (let index = 0; bytes.length > 0; index++) {
    if (index > ENTRIES_MAX) throw malformed(`more than ${ENTRIES_MAX} entries`);
    const entry = bytes.subarray(index * ENTRY_BYTES, (index + 1) * ENTRY_BYTES);
    if (entry.length < ENTRY_BYTES) throw malformed(`entry ${index} is cut off`);
    if (entry.subarray(0, 16).every((byte) => byte === 0)) break;
    const view = new DataView(entry.buffer, entry.byteOffset, ENTRY_BYTES);
    const [offset, length] = [view.getUint32(16, true), view.getUint32(20, true)];
    const certificate = bytes.subarray(offset, offset + length);
    if (length === 0 || certificate.length !== length) throw malformed(`entry ${index} points behind the table`);
    const name = GUIDS.get(guidText(entry.subarray(0, 16)));
    if (name !== undefined) found.set(name, certificate);
  }
  return found;
}

/** The first three groups of a GUID are little-endian. */
function guidText(bytes: Uint8Array): string {
  const group = (from: number, to: number) => bytes.subarray(from, to);
  const reversed = (from: number, to: number) => group(from, to).toReversed();
  return [reversed(0, 4), reversed(4, 6), reversed(6, 8), group(8, 10), group(10, 16)].map((part) => part.toHex()).join("-");
}
