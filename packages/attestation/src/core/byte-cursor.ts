/** Walks bytes an attacker may have chosen, little-endian. The format names the error, the cursor adds where and why. */
export class ByteCursor {
  readonly #bytes: Uint8Array;
  readonly #malformed: (detail: string) => Error;
  #offset = 0;
  constructor(bytes: Uint8Array, malformed: (detail: string) => Error) {
    this.#bytes = bytes;
    this.#malformed = malformed;
  }
  get left(): number {
    return this.#bytes.length - this.#offset;
  }
  /** A view of the next bytes, not a copy. */
  take(length: number, field: string): Uint8Array {
    if (length > this.left) throw this.#malformed(`${field} needs ${length} bytes at offset ${this.#offset}, ${this.left} left`);
    this.#offset += length;
    return this.#bytes.subarray(this.#offset - length, this.#offset);
  }
  uint(width: 1 | 2 | 4, field: string): number {
    return this.take(width, field).reduceRight((value, byte) => value * 256 + byte, 0); // << would turn negative at 2^31
  }
}
