import { HashMD } from "@noble/hashes/_md.js";

const INITIAL = [0x7380166f, 0x4914b2b9, 0x172442d7, 0xda8a0600, 0xa96f30bc, 0x163138aa, 0xe38dee4d, 0xb0fb0e4e] as const;
const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;
const LENGTH_BYTES = 8;

const rotate = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits)); // shifts count modulo 32
const p0 = (word: number): number => word ^ rotate(word, 9) ^ rotate(word, 17);
const p1 = (word: number): number => word ^ rotate(word, 15) ^ rotate(word, 23);
const majority = (a: number, b: number, c: number): number => (a & b) | (a & c) | (b & c);
const choice = (a: number, b: number, c: number): number => (a & b) | (~a & c);
const parity = (a: number, b: number, c: number): number => a ^ b ^ c;

/** SM3 (GB/T 32905-2016, ISO/IEC 10118-3): what the hash library leaves out and some event logs have. Padding is that of SHA-256. */
class Sm3 extends HashMD<Sm3> {
  #state: number[] = [...INITIAL];
  readonly #words = new Uint32Array(68);
  constructor() {
    super(BLOCK_BYTES, DIGEST_BYTES, LENGTH_BYTES, false);
  }
  protected get(): number[] {
    return this.#state;
  }
  protected set(...state: number[]): void {
    this.#state = state;
  }
  /** §5.3: message expansion and compression of one block. */
  protected process(view: DataView, offset: number): void {
    const w = this.#words;
    const word = (index: number): number => w[index] ?? 0;
    for (let j = 0; j < 16; j++) w[j] = view.getUint32(offset + 4 * j);
    for (let j = 16; j < 68; j++) {
      w[j] = p1(word(j - 16) ^ word(j - 9) ^ rotate(word(j - 3), 15)) ^ rotate(word(j - 13), 7) ^ word(j - 6);
    }
    const before = this.#state;
    let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = before;
    for (let j = 0; j < 64; j++) {
      const isEarly = j < 16;
      const ss1 = rotate((rotate(a, 12) + e + rotate(isEarly ? 0x79cc4519 : 0x7a879d8a, j % 32)) | 0, 7);
      const ss2 = ss1 ^ rotate(a, 12);
      const tt1 = ((isEarly ? parity(a, b, c) : majority(a, b, c)) + d + ss2 + (word(j) ^ word(j + 4))) | 0;
      const tt2 = ((isEarly ? parity(e, f, g) : choice(e, f, g)) + h + ss1 + word(j)) | 0;
      [d, c, b, a] = [c, rotate(b, 9), a, tt1];
      [h, g, f, e] = [g, rotate(f, 19), e, p0(tt2)];
    }
    this.#state = [a, b, c, d, e, f, g, h].map((value, index) => value ^ (before[index] ?? 0));
  }
  protected roundClean(): void {
    this.#words.fill(0);
  }
  destroy(): void {
    this.#state.fill(0);
    this.roundClean();
  }
  _cloneInto(to: Sm3 = new Sm3()): Sm3 {
    to.#state = [...this.#state];
    return this._cloneIntoMeta(to);
  }
}

export const sm3 = { create: (): Sm3 => new Sm3() };
