import { cString } from "./libc.ts";
import type { Argument } from "./system-call-steps.ts";

/** mov rdi|rsi|rdx|r10|r8|r9, imm64: where the kernel takes its arguments from. */
const ARGUMENT_MOVES = ["48bf", "48be", "48ba", "49ba", "49b8", "49b9"] as const;

/** Instructions by their hexadecimal digits: a program has few different ones. */
const instructions = new Map<string, Uint8Array>();
function instruction(hex: string): Uint8Array {
  const known = instructions.get(hex);
  if (known !== undefined) return known;
  const bytes = Uint8Array.fromHex(hex);
  instructions.set(hex, bytes);
  return bytes;
}

/** Bytes that grow at their end. They may be secret, so none are left behind. */
class ByteList {
  #bytes = new Uint8Array(16_384);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  get length(): number {
    return this.#length;
  }
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
  append(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.length);
    this.#bytes.set(bytes, at);
  }
  /** Of a negative number the two's complement. */
  appendUint(value: bigint, bytes: 4 | 8): void {
    const at = this.#reserve(bytes);
    if (bytes === 4) this.#view.setUint32(at, Number(value), true);
    else this.#view.setBigUint64(at, value, true);
  }
  wipe(): void {
    this.#bytes.fill(0);
  }
  /** Where the next `count` bytes belong. */
  #reserve(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length));
      larger.set(this.#bytes);
      this.wipe();
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }
}

/** Code and data of a program while they grow. Addresses of data are known only when the code is complete, so they are filled in at the end. */
export class Assembly {
  readonly #code = new ByteList();
  readonly #data = new ByteList();
  readonly #dataFixes: { readonly at: number; readonly offset: number }[] = [];
  readonly #pointerFixes: { readonly at: number; readonly offset: number }[] = [];
  readonly #jumps: { readonly at: number; readonly label: string }[] = [];
  readonly #labels = new Map<string, number>();

  /** Instructions, as the hexadecimal digits of their bytes. */
  emit(hex: string): void {
    this.#code.append(instruction(hex));
  }
  emitUint(value: bigint, bytes: 4 | 8): void {
    this.#code.appendUint(value, bytes);
  }
  label(name: string): void {
    this.#labels.set(name, this.#code.length);
  }
  /** A jump or call instruction with a 32-bit distance. */
  jump(hex: string, label: string): void {
    this.emit(hex);
    this.#jumps.push({ at: this.#code.length, label });
    this.emitUint(0n, 4);
  }
  /** Offset of bytes in the data. */
  place(bytes: Uint8Array): number {
    const offset = this.#data.length;
    this.#data.append(bytes);
    return offset;
  }
  /** Offset of a NULL-terminated list of pointers to texts. */
  placeList(texts: readonly string[]): number {
    const offsets = texts.map((text) => this.place(cString(text)));
    this.#data.append(new Uint8Array(-this.#data.length & 7));
    const list = this.#data.length;
    for (const [index, offset] of offsets.entries()) this.#pointerFixes.push({ at: list + index * 8, offset });
    this.place(new Uint8Array(8 * (offsets.length + 1)));
    return list;
  }
  /** A 64-bit immediate operand that holds an address in the data. */
  emitAddress(offset: number): void {
    this.#dataFixes.push({ at: this.#code.length, offset });
    this.emitUint(0n, 8);
  }
  /** A system call; what the kernel answers is in rax. */
  emitCall(number: number, args: readonly Argument[]): void {
    for (const [index, argument] of args.entries()) {
      this.emit(ARGUMENT_MOVES[index] ?? "");
      if (typeof argument === "string") this.emitAddress(this.place(cString(argument)));
      else if (argument instanceof Uint8Array) this.emitAddress(this.place(argument));
      else this.emitUint(BigInt(argument), 8);
    }
    this.emit("b8"); // mov eax, number
    this.emitUint(BigInt(number), 4);
    this.emit("0f05"); // syscall
  }
  /** Code, then data, for the address at which the code will begin. */
  finish(base: bigint): Buffer {
    this.emit("90".repeat(-this.#code.length & 7));
    const body = Buffer.concat([this.#code.bytes, this.#data.bytes]);
    this.#data.wipe();
    const view = new DataView(body.buffer, body.byteOffset, body.length);
    const dataBase = base + BigInt(this.#code.length);
    for (const { at, offset } of this.#dataFixes) view.setBigUint64(at, dataBase + BigInt(offset), true);
    for (const { at, offset } of this.#pointerFixes) view.setBigUint64(this.#code.length + at, dataBase + BigInt(offset), true);
    for (const { at, label } of this.#jumps) {
      const target = this.#labels.get(label);
      if (target === undefined) throw new TypeError(`no label ${label}`);
      view.setInt32(at, target - (at + 4), true);
    }
    return body;
  }
}
