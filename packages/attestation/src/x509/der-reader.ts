import { decodeAscii } from "../core/bytes.ts";

/**
 * Reader of DER (X.690 §8 to §11) as certificates use it: single-byte tags, definite minimal lengths. It never recurses by itself, so depth
 * is bounded by the code that calls it, and it never copies.
 */

export const DER = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  universalString: 0x1c,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

export type Malformed = (detail: string) => Error;

export interface DerValue {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Tag, length and content. */
  readonly bytes: Uint8Array;
}

const LENGTH_OCTETS_MAX = 4;
const OID_OCTETS_MAX = 64;

/** Walks the values inside one constructed value, or a whole document. */
export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #malformed: Malformed;
  readonly #where: string;
  #offset = 0;
  constructor(bytes: Uint8Array, where: string, malformed: Malformed) {
    this.#bytes = bytes;
    this.#where = where;
    this.#malformed = malformed;
  }
  get isDone(): boolean {
    return this.#offset >= this.#bytes.length;
  }
  /** The tag that comes next; undefined at the end. */
  get nextTag(): number | undefined {
    return this.#bytes[this.#offset];
  }
  fail(detail: string): Error {
    return this.#malformed(`${this.#where}: ${detail}`);
  }
  /** The next value, whatever its tag. */
  any(field: string): DerValue {
    const bytes = this.#bytes;
    const start = this.#offset;
    const tag = bytes[start];
    const first = bytes[start + 1];
    if (tag === undefined || first === undefined) throw this.fail(`${field} is missing at offset ${start}`);
    if ((tag & 0x1f) === 0x1f) throw this.fail(`${field} has a tag of several bytes`);
    let contentStart = start + 2;
    let length = first;
    if (first >= 0x80) {
      const octets = first & 0x7f;
      if (octets === 0 || octets > LENGTH_OCTETS_MAX) throw this.fail(`${field} has a length of indefinite or excessive form`);
      length = 0;
      for (let index = 0; index < octets; index++) length = length * 256 + (bytes[contentStart + index] ?? 0);
      if (length < 0x80 || length < 256 ** (octets - 1)) throw this.fail(`${field} has a length that is not minimal`);
      contentStart += octets;
    }
    const end = contentStart + length;
    if (end > bytes.length)
      throw this.fail(`${field} needs ${length} bytes at offset ${contentStart}, ${Math.max(0, bytes.length - contentStart)} left`);
    this.#offset = end;
    return { tag, content: bytes.subarray(contentStart, end), bytes: bytes.subarray(start, end) };
  }
  value(tag: number, field: string): DerValue {
    if (this.nextTag !== undefined && this.nextTag !== tag) {
      throw this.fail(`${field} has tag 0x${this.nextTag.toString(16)}, expected 0x${tag.toString(16)}`);
    }
    return this.any(field);
  }
  /** A value that may be left out. */
  optional(tag: number, field: string): DerValue | undefined {
    return this.nextTag === tag ? this.any(field) : undefined;
  }
  /** Opens the constructed value that comes next. */
  open(tag: number, field: string): DerReader {
    return new DerReader(this.value(tag, field).content, field, this.#malformed);
  }
  /** A reader of the content of a value that was taken before. */
  within(content: Uint8Array, field: string): DerReader {
    return new DerReader(content, field, this.#malformed);
  }
  openOptional(tag: number, field: string): DerReader | undefined {
    return this.nextTag === tag ? this.open(tag, field) : undefined;
  }
  oid(field: string): string {
    return decodeOid(this.value(DER.oid, field).content, (detail) => this.fail(`${field} ${detail}`));
  }
  /** Two's complement octets in their only form. */
  integer(field: string, tag: number = DER.integer): Uint8Array {
    const { content } = this.value(tag, field);
    const [first, second = 0] = content;
    if (first === undefined) throw this.fail(`${field} is an empty integer`);
    if (content.length > 1 && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))) {
      throw this.fail(`${field} is an integer that is not minimal`);
    }
    return content;
  }
  /** An integer of 0 to 2^31 - 1. */
  smallInteger(field: string, tag: number = DER.integer): number {
    const content = this.integer(field, tag);
    if (content.length > 4 || (content[0] ?? 0) >= 0x80) throw this.fail(`${field} is negative or larger than 2^31`);
    return content.reduce((value, octet) => value * 256 + octet, 0);
  }
  boolean(field: string): boolean {
    const { content } = this.value(DER.boolean, field);
    if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) throw this.fail(`${field} is not a boolean`);
    return content[0] === 0xff;
  }
  octetString(field: string): Uint8Array {
    return this.value(DER.octetString, field).content;
  }
  /** A bit string of whole bytes. */
  byteString(field: string): Uint8Array {
    const { content } = this.value(DER.bitString, field);
    if (content[0] !== 0) throw this.fail(`${field} is not a bit string of whole bytes`);
    return content.subarray(1);
  }
  /** Milliseconds since 1970. UTCTime until 2049, GeneralizedTime afterwards, both in UTC with seconds (RFC 5280 §4.1.2.5). */
  time(field: string): number {
    const { tag, content } = this.any(field);
    const milliseconds = decodeTime(tag, content);
    if (milliseconds === undefined) throw this.fail(`${field} is not a time in the form of RFC 5280`);
    return milliseconds;
  }
  finish(): void {
    if (!this.isDone) throw this.fail(`${this.#bytes.length - this.#offset} bytes follow the last member`);
  }
}

/** The members of a SEQUENCE OF or SET OF, at least one and at most `max`. */
export function readList<T>(reader: DerReader, max: number, field: string, read: (reader: DerReader) => T): readonly T[] {
  const items: T[] = [];
  while (!reader.isDone) {
    if (items.length >= max) throw reader.fail(`more than ${max} of ${field}`);
    items.push(read(reader));
  }
  if (items.length === 0) throw reader.fail(`no ${field}`);
  return items;
}

/**
 * Named bits of a BIT STRING, most significant first. DER leaves trailing zero bits out (X.690 §11.2.2), but AMD's roots have them; since
 * certificates are compared and verified by their bytes, a second spelling of the same bits does no harm.
 */
export function readNamedBits(reader: DerReader, field: string): readonly boolean[] {
  const { content } = reader.value(DER.bitString, field);
  const unused = content[0];
  if (unused === undefined || unused > 7 || (content.length === 1 && unused > 0)) throw reader.fail(`${field} is not a bit string`);
  const last = content.length > 1 ? (content.at(-1) ?? 0) : 0;
  if ((last & ((1 << unused) - 1)) !== 0) throw reader.fail(`${field} has unused bits that are set`);
  const bits: boolean[] = [];
  for (let index = 0; index < (content.length - 1) * 8 - unused; index++) {
    bits.push((((content[1 + (index >> 3)] ?? 0) << (index & 7)) & 0x80) !== 0);
  }
  return bits;
}

function decodeOid(content: Uint8Array, malformed: Malformed): string {
  if (content.length === 0 || content.length > OID_OCTETS_MAX) throw malformed("is not an object identifier");
  let text = "";
  let arc = 0;
  let isStart = true;
  for (const octet of content) {
    if (isStart && octet === 0x80) throw malformed("is an object identifier that is not minimal");
    arc = arc * 128 + (octet & 0x7f);
    // No registered identifier comes near this; beyond it, arcs would no longer be exact.
    if (arc > Number.MAX_SAFE_INTEGER) throw malformed("is an object identifier with an arc beyond 2^53");
    isStart = (octet & 0x80) === 0;
    if (!isStart) continue;
    if (text === "") {
      const root = Math.min(2, Math.floor(arc / 40));
      text = `${root}.${arc - root * 40}`;
    } else text += `.${arc}`;
    arc = 0;
  }
  if (!isStart) throw malformed("is an object identifier that ends too early");
  return text;
}

function decodeTime(tag: number, content: Uint8Array): number | undefined {
  const text = decodeAscii(content);
  const isUtc = tag === DER.utcTime;
  if (!(isUtc ? /^\d{12}Z$/ : /^\d{14}Z$/).test(text) || (!isUtc && tag !== DER.generalizedTime)) return undefined;
  const short = Number(text.slice(0, 2));
  const year = isUtc ? (short < 50 ? 2000 : 1900) + short : Number(text.slice(0, 4));
  if (!isUtc && year < 2050) return undefined;
  const rest = isUtc ? text.slice(2) : text.slice(4);
  const [month = 0, day = 0, hour = 0, minute = 0, second = 0] = (rest.match(/\d\d/g) ?? []).map(Number);
  const date = new Date(Date.UTC(2000, 0, 1));
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  const isReal = date.getUTCMonth() === month - 1 && hour < 24 && minute < 60 && second < 60;
  return isReal ? date.getTime() : undefined;
}
