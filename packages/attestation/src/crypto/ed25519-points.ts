import { isSameBytes } from "../core/bytes.ts";

/** y coordinates of the eight points whose order divides 8, in every encoding that decoders take (0, 1 and -1 also as p, p+1), without sign. */
const SMALL_ORDER = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
].map((hex) => Uint8Array.fromHex(hex));

/** Whether 32 bytes encode a point of Ed25519 of small order. */
export function hasSmallOrder(point: Uint8Array): boolean {
  const unsigned = Uint8Array.from(point);
  const last = unsigned.length - 1;
  unsigned[last] = (unsigned[last] ?? 0) & 0x7f;
  return SMALL_ORDER.some((known) => isSameBytes(known, unsigned));
}
