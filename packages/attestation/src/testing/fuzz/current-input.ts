const COUNTER = 0;
const LENGTH = 1;
const HEADER_BYTES = 8;
const INPUT_MAX_BYTES = 64 * 1024;

/** The input a thread is working on, where another thread can see it: what hangs or runs out of memory cannot tell any more. */
export class CurrentInput {
  readonly shared: SharedArrayBuffer;
  readonly #header: Int32Array;
  readonly #bytes: Uint8Array;
  constructor(shared: SharedArrayBuffer = new SharedArrayBuffer(HEADER_BYTES + INPUT_MAX_BYTES)) {
    this.shared = shared;
    this.#header = new Int32Array(shared, 0, 2);
    this.#bytes = new Uint8Array(shared, HEADER_BYTES);
  }
  /** Grows by one with each input. */
  get count(): number {
    return Atomics.load(this.#header, COUNTER);
  }
  announce(input: Uint8Array): void {
    this.#bytes.set(input.subarray(0, INPUT_MAX_BYTES));
    Atomics.store(this.#header, LENGTH, Math.min(input.length, INPUT_MAX_BYTES));
    Atomics.add(this.#header, COUNTER, 1);
  }
  read(): Uint8Array {
    return Uint8Array.from(this.#bytes.subarray(0, Atomics.load(this.#header, LENGTH)));
  }
}
