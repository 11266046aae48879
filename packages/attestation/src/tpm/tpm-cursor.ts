import { ByteCursor } from "../core/byte-cursor.ts";

/** Walks TPM structures (TPM 2.0 Library, part 2): big-endian, with sized buffers. */
export class TpmCursor {
  readonly #cursor: ByteCursor;
  readonly #malformed: (detail: string) => Error;
  constructor(bytes: Uint8Array, malformed: (detail: string) => Error) {
    this.#cursor = new ByteCursor(bytes, malformed);
    this.#malformed = malformed;
  }
  get left(): number {
    return this.#cursor.left;
  }
  take(length: number, field: string): Uint8Array {
    return this.#cursor.take(length, field);
  }
  uint(width: 1 | 2 | 4, field: string): number {
    return this.take(width, field).reduce((value, byte) => value * 256 + byte, 0);
  }
  uint64(field: string): bigint {
    const bytes = this.take(8, field);
    return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0);
  }
  /** TPM2B_*: 16 bits of length, then that many bytes, at most `maxBytes`. */
  sized(maxBytes: number, field: string): Uint8Array {
    const length = this.uint(2, `${field} size`);
    if (length > maxBytes) throw this.#malformed(`${field} of ${length} bytes, at most ${maxBytes} allowed`);
    return this.take(length, field);
  }
}
