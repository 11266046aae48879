import { ImageError } from "./image-error.ts";

/*
 * 64-bit little-endian ELF (System V ABI, chapters 4 and 5), as far as shipping a program in an image needs it:
 * header: magic (4) | class (1) = 2 | data (1) = 1 | … | e_shoff at 40 | e_phoff at 32 | e_phentsize at 54 | e_phnum at 56 | e_shentsize, e_shnum, e_shstrndx at 58
 * program header: p_type (4) | p_flags (4) | p_offset (8) | p_vaddr (8) | p_paddr (8) | p_filesz (8) | …
 */
const HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const PROGRAM_HEADER_LIMIT = 256;
const PT_INTERP = 3;

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly fileSize: number;
}

export const isElf = (bytes: Uint8Array): boolean =>
  bytes.length >= HEADER_BYTES && bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;

function readSegments(bytes: Uint8Array): Segment[] {
  const fail = (detail: string) => new ImageError("E-BINARY", `not a 64-bit little-endian ELF program: ${detail}`);
  if (!isElf(bytes) || bytes[4] !== 2 || bytes[5] !== 1) throw fail("unknown header");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = Number(view.getBigUint64(32, true));
  const count = view.getUint16(56, true);
  if (view.getUint16(54, true) !== PROGRAM_HEADER_BYTES || count > PROGRAM_HEADER_LIMIT) throw fail(`${count} program headers`);
  if (start + count * PROGRAM_HEADER_BYTES > bytes.length) throw fail("program headers outside of the file");
  return Array.from({ length: count }, (_, index) => {
    const at = start + index * PROGRAM_HEADER_BYTES;
    const segment = {
      type: view.getUint32(at, true),
      offset: Number(view.getBigUint64(at + 8, true)),
      fileSize: Number(view.getBigUint64(at + 32, true)),
    };
    if (segment.offset + segment.fileSize > bytes.length) throw fail("a segment outside of the file");
    return segment;
  });
}

/** Drops everything that is not loaded: section headers, symbols, debugging data. The program runs as before. Returns a copy. */
export function stripElf(bytes: Uint8Array): Uint8Array {
  const end = readSegments(bytes).reduce((most, { offset, fileSize }) => Math.max(most, offset + fileSize), HEADER_BYTES);
  const stripped = bytes.slice(0, end);
  const view = new DataView(stripped.buffer);
  view.setBigUint64(40, 0n, true); // e_shoff
  view.setUint16(60, 0, true); // e_shnum
  view.setUint16(62, 0, true); // e_shstrndx
  return stripped;
}

/** The loader that a program asks for, or undefined for a static program or a library. */
export function findInterpreter(bytes: Uint8Array): string | undefined {
  const segment = readSegments(bytes).find(({ type }) => type === PT_INTERP);
  if (segment === undefined) return undefined;
  return (
    Buffer.from(bytes.subarray(segment.offset, segment.offset + segment.fileSize))
      .toString("latin1")
      .split("\0")[0] ?? ""
  );
}

/** Makes a program ask for another loader; the path must not be longer than the present one. Changes `bytes` in place. */
export function setInterpreter(bytes: Uint8Array, path: string): void {
  const segment = readSegments(bytes).find(({ type }) => type === PT_INTERP);
  if (segment === undefined || path.length >= segment.fileSize)
    throw new ImageError("E-BINARY", `the program's loader cannot be replaced by ${path}`);
  const place = bytes.subarray(segment.offset, segment.offset + segment.fileSize);
  place.fill(0);
  place.set(new TextEncoder().encode(path));
}
