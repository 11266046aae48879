const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Walks bytes that an attacker may have chosen, big-endian. The format names the error, the cursor adds where and why. */
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
  /** A view, not a copy. */
  take(length: number, field: string): Uint8Array {
    if (length > this.left) throw this.#malformed(`${field} needs ${length} bytes at offset ${this.#offset}, ${this.left} left`);
    this.#offset += length;
    return this.#bytes.subarray(this.#offset - length, this.#offset);
  }
  uint(width: 1 | 2 | 4 | 6, field: string): number {
    return this.take(width, field).reduce((value, byte) => value * 256 + byte, 0);
  }
  text(field: string, maxBytes: number): string {
    const length = this.uint(2, `length of ${field}`);
    if (length > maxBytes) throw this.#malformed(`${field} has ${length} bytes, at most ${maxBytes} are allowed`);
    const bytes = this.take(length, field);
    try {
      return decoder.decode(bytes);
    } catch {
      throw this.#malformed(`${field} is not UTF-8`);
    }
  }
  end(): void {
    if (this.left > 0) throw this.#malformed(`${this.left} bytes follow the end`);
  }
}

/** Appends what `ByteCursor` reads. */
export class ByteWriter {
  readonly #parts: Uint8Array[] = [];
  bytes(bytes: Uint8Array): this {
    this.#parts.push(bytes);
    return this;
  }
  uint(width: 1 | 2 | 4 | 6, value: number): this {
    if (!Number.isSafeInteger(value) || value < 0 || value >= 256 ** width)
      throw new TypeError(`${value} does not fit into ${width} bytes`);
    const bytes = new Uint8Array(width);
    for (let index = width - 1, rest = value; index >= 0; index--, rest = Math.floor(rest / 256)) bytes[index] = rest % 256;
    return this.bytes(bytes);
  }
  text(value: string): this {
    const bytes = encoder.encode(value);
    return this.uint(2, bytes.length).bytes(bytes);
  }
  finish(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#parts));
  }
}
