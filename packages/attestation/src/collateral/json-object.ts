import { isIntegerWithin } from "../core/integer.ts";
import type { Malformed } from "../x509/der-reader.ts";

const INTEGER_MAX = 0xffff;

/** Reads an object of signed JSON member by member; what nobody reads is refused, so that no statement of the signer is passed over. */
export class JsonObject {
  readonly #members: Map<string, unknown>;
  readonly #where: string;
  readonly #malformed: Malformed;
  constructor(value: unknown, where: string, malformed: Malformed) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw malformed(`${where} is not an object`);
    this.#members = new Map(Object.entries(value));
    this.#where = where;
    this.#malformed = malformed;
  }
  has(name: string): boolean {
    return this.#members.has(name);
  }
  text(name: string, maxLength = 100): string {
    const value = this.#take(name);
    if (typeof value !== "string" || value.length > maxLength) throw this.fail(`${name} is not a text of at most ${maxLength} characters`);
    return value;
  }
  word<T extends string>(name: string, words: readonly T[]): T {
    const value = this.text(name);
    const word = words.find((candidate) => candidate === value);
    if (word === undefined) throw this.fail(`${name} is ${JSON.stringify(value)}, expected one of ${words.join(", ")}`);
    return word;
  }
  /** 0 to 65535. */
  integer(name: string): number {
    const value = this.#take(name);
    if (!isIntegerWithin(value, 0, INTEGER_MAX)) throw this.fail(`${name} is not an integer of 0 to ${INTEGER_MAX}`);
    return value;
  }
  /** Exactly `length` bytes, in hex of either case. */
  hex(name: string, length: number): Uint8Array {
    const value = this.text(name, length * 2);
    if (value.length !== length * 2 || !/^[0-9a-fA-F]*$/.test(value)) throw this.fail(`${name} is not ${length} bytes in hex`);
    return Uint8Array.fromHex(value);
  }
  /** A date of RFC 3339 in UTC without fractions, as Intel writes it. */
  date(name: string): Date {
    const value = this.text(name);
    const date = new Date(value);
    if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(value) || Number.isNaN(date.getTime())) throw this.fail(`${name} is not a date`);
    return date;
  }
  list<T>(name: string, max: number, read: (value: unknown, where: string) => T): readonly T[] {
    const value = this.#take(name);
    if (!Array.isArray(value) || value.length > max) throw this.fail(`${name} is not a list of at most ${max}`);
    return value.map((item: unknown, index) => read(item, `${this.#where}.${name}[${index}]`));
  }
  object(name: string): JsonObject {
    return new JsonObject(this.#take(name), `${this.#where}.${name}`, this.#malformed);
  }
  /** Refuses members that were not read. */
  finish(): void {
    const [stranger] = this.#members.keys();
    if (stranger !== undefined) throw this.fail(`unknown member ${JSON.stringify(stranger.slice(0, 40))}`);
  }
  fail(detail: string): Error {
    return this.#malformed(`${this.#where}: ${detail}`);
  }
  #take(name: string): unknown {
    if (!this.#members.has(name)) throw this.fail(`${name} is missing`);
    const value = this.#members.get(name);
    this.#members.delete(name);
    return value;
  }
}
