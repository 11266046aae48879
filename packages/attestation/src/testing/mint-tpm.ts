import { createHash, type KeyObject, sign } from "node:crypto";

export interface MintedQuote {
  readonly extraData: Uint8Array;
  /** SHA-256 bank. */
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
  readonly magic?: number;
}

/** A TPMS_ATTEST over PCRs of the SHA-256 bank, and its bare RSASSA signature with SHA-256. */
export function mintTpmQuote(
  { extraData, pcrs, magic = 0xff544347 }: MintedQuote,
  privateKey: KeyObject,
): { message: Uint8Array; signature: Uint8Array } {
  const select = Buffer.alloc(3);
  const digest = createHash("sha256");
  for (const index of [...pcrs.keys()].sort((a, b) => a - b)) {
    select[index >> 3] = (select[index >> 3] ?? 0) | (1 << (index & 7));
    digest.update(pcrs.get(index) ?? new Uint8Array(0));
  }
  const message = Buffer.concat([
    u32(magic),
    u16(0x8018),
    sized(Buffer.concat([u16(0x0b), new Uint8Array(32).fill(3)])),
    sized(extraData),
    new Uint8Array(8 + 4 + 4),
    Uint8Array.of(1),
    new Uint8Array(8),
    u32(1),
    u16(0x0b),
    Uint8Array.of(select.length),
    select,
    sized(digest.digest()),
  ]);
  return { message, signature: sign("sha256", message, privateKey) };
}

const sized = (bytes: Uint8Array): Uint8Array => Buffer.concat([u16(bytes.length), bytes]);
const u16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 0xff);
const u32 = (value: number): Uint8Array => Buffer.concat([u16(Math.floor(value / 0x10000)), u16(value % 0x10000)]);
