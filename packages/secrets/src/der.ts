/** DER, written by hand: the few types an X.509 certificate, a PKCS#12 file and an OpenPGP key need (X.690). */

/** One element: tag, definite length, content. */
export function tlv(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const content of contents) length += content.length;
  const header = lengthOctets(length);
  const element = new Uint8Array(1 + header.length + length);
  element[0] = tag;
  element.set(header, 1);
  let at = 1 + header.length;
  for (const content of contents) {
    element.set(content, at);
    at += content.length;
  }
  return element;
}

function lengthOctets(length: number): number[] {
  if (length < 0x80) return [length];
  const octets: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256);
  return [0x80 | octets.length, ...octets];
}

export const sequence = (...elements: readonly Uint8Array[]): Uint8Array => tlv(0x30, ...elements);
export const setOf = (...elements: readonly Uint8Array[]): Uint8Array => tlv(0x31, ...elements);
export const octetString = (content: Uint8Array): Uint8Array => tlv(0x04, content);
export const bitString = (content: Uint8Array, unusedBits = 0): Uint8Array => tlv(0x03, Uint8Array.of(unusedBits), content);
export const nullValue: Uint8Array = tlv(0x05);
export const booleanTrue: Uint8Array = tlv(0x01, Uint8Array.of(0xff));
/** Explicit context tag `[n]`. */
export const explicit = (number: number, ...contents: readonly Uint8Array[]): Uint8Array => tlv(0xa0 | number, ...contents);
/** Implicit primitive context tag `[n]`. */
export const implicit = (number: number, content: Uint8Array): Uint8Array => tlv(0x80 | number, content);
export const utf8String = (text: string): Uint8Array => tlv(0x0c, Buffer.from(text));
export const printableString = (text: string): Uint8Array => tlv(0x13, Buffer.from(text, "latin1"));
export const ia5 = (text: string): Uint8Array => Buffer.from(text, "latin1");

/** Non-negative integer from big-endian bytes, minimal. */
export function integer(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const minimal = bytes.subarray(start);
  return (minimal[0] ?? 0) < 0x80 ? tlv(0x02, minimal) : tlv(0x02, Uint8Array.of(0), minimal);
}

export const smallInteger = (value: number): Uint8Array => integer(Uint8Array.fromHex(value.toString(16).padStart(8, "0")));

export function objectIdentifier(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const octets: number[] = [];
  for (const arc of [first * 40 + second, ...rest]) {
    const groups = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) groups.unshift((left % 128) | 0x80);
    octets.push(...groups);
  }
  return tlv(0x06, Uint8Array.from(octets));
}

/** UTCTime until 2049, GeneralizedTime from 2050 (RFC 5280 §4.1.2.5); whole seconds. */
export function time(instant: Date): Uint8Array {
  const digits = instant
    .toISOString()
    .replace(/\.[0-9]+Z$/, "")
    .replace(/[-:T]/g, "");
  return instant.getUTCFullYear() < 2050 ? tlv(0x17, ia5(`${digits.slice(2)}Z`)) : tlv(0x18, ia5(`${digits}Z`));
}

export interface DerElement {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Tag, length and content. */
  readonly whole: Uint8Array;
}

const malformed = (detail: string) => new RangeError(`DER: ${detail}`);

/** Elements of a constructed content, in order. Throws `RangeError` on anything but definite lengths that fit. */
export function elements(bytes: Uint8Array): DerElement[] {
  const found: DerElement[] = [];
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes[at];
    const first = bytes[at + 1];
    if (tag === undefined || first === undefined) throw malformed("truncated header");
    let start = at + 2;
    let length = first;
    if (first >= 0x80) {
      const count = first & 0x7f;
      if (count === 0 || count > 4) throw malformed("length form is not supported");
      length = 0;
      for (const octet of bytes.subarray(start, start + count)) length = length * 256 + octet;
      start += count;
    }
    const end = start + length;
    if (end > bytes.length) throw malformed("element is longer than its container");
    found.push({ tag, content: bytes.subarray(start, end), whole: bytes.subarray(at, end) });
    at = end;
  }
  return found;
}
