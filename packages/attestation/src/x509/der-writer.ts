/** Writers of DER (X.690) for what this package makes itself: certificates of its own authorities. Reading is the business of `x509/`. */

import { concat, encodeUtf8 } from "../core/bytes.ts";

export function tlv(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const content = concat(...contents);
  const length = content.length;
  if (length < 0x80) return concat(Uint8Array.of(tag, length), content);
  const digits = Uint8Array.fromHex(length.toString(16).padStart(length > 0xffff ? 6 : length > 0xff ? 4 : 2, "0"));
  return concat(Uint8Array.of(tag, 0x80 | digits.length), digits, content);
}

export const sequence = (...contents: readonly Uint8Array[]): Uint8Array => tlv(0x30, ...contents);
export const octetString = (bytes: Uint8Array): Uint8Array => tlv(0x04, bytes);
export const boolean = (value: boolean): Uint8Array => tlv(0x01, Uint8Array.of(value ? 0xff : 0));
export const utf8String = (text: string): Uint8Array => tlv(0x0c, encodeUtf8(text));
export const ia5String = (text: string): Uint8Array => tlv(0x16, encodeUtf8(text));
export const bitString = (bytes: Uint8Array, unusedBits = 0): Uint8Array => tlv(0x03, Uint8Array.of(unusedBits), bytes);
export const context = (number: number, ...contents: readonly Uint8Array[]): Uint8Array => tlv(0xa0 | number, ...contents);

/** A number that is not negative. */
export function integer(value: bigint | number): Uint8Array {
  const hex = value.toString(16);
  const bytes = Uint8Array.fromHex(hex.length % 2 === 0 ? hex : `0${hex}`);
  return tlv(0x02, (bytes[0] ?? 0) & 0x80 ? Uint8Array.of(0) : new Uint8Array(0), bytes);
}

export function objectIdentifier(text: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = text.split(".").map(Number);
  const arcs = [first * 40 + second, ...rest].flatMap((arc) => {
    const digits = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) digits.unshift((left & 0x7f) | 0x80);
    return digits;
  });
  return tlv(0x06, Uint8Array.from(arcs));
}

/** UTCTime until 2049, GeneralizedTime afterwards (RFC 5280 §4.1.2.5). */
export function time(date: Date): Uint8Array {
  const digits = `${date.toISOString().slice(0, 19).replace(/[-T:]/g, "")}Z`;
  return date.getUTCFullYear() < 2050 ? tlv(0x17, encodeUtf8(digits.slice(2))) : tlv(0x18, encodeUtf8(digits));
}
