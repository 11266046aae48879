const TEXT = new TextEncoder();
const ASCII = new TextDecoder("latin1");

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/** Whether two byte strings are the same. How long it takes depends on their lengths alone. */
export function isSameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let index = 0; index < a.length; index++) difference |= (a[index] ?? 0) ^ (b[index] ?? 0);
  return difference === 0;
}

export const encodeUtf8 = (text: string): Uint8Array => TEXT.encode(text);

/** ASCII as text. Every other byte becomes one character beyond ASCII: what looks for text finds none in it. */
export const decodeAscii = (bytes: Uint8Array): string => ASCII.decode(bytes);

/** Big-endian. */
export function u16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}

/** Big-endian. */
export function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

/** Base64 in its one spelling: padded, no unused bits, and no white space, which the language's own reader skips. Throws a SyntaxError. */
export function decodeBase64(text: string): Uint8Array {
  if (/\s/.test(text)) throw new SyntaxError("white space in base64");
  return Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
}
