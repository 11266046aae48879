import { closeSync, constants, openSync } from "node:fs";
import { addressOf, checked, libc } from "./libc.ts";

/** A place in a structure where the kernel expects the address of other memory. */
export interface StructPointer {
  readonly offset: number;
  readonly buffer: Uint8Array;
  /** Addresses inside of that memory. */
  readonly pointers?: readonly StructPointer[];
}

/** A character device that is spoken to by ioctl(2). */
export interface Device extends Disposable {
  /**
   * Carries out a request on `structure`, which the kernel reads and writes, and on the buffers that it points to. All of them are copied in and
   * back, so that their addresses hold. Throws SystemCallError; what the kernel had written until then is in `structure`.
   */
  control(request: bigint, structure: Uint8Array, pointers?: readonly StructPointer[]): void;
}

/** Throws what open(2) throws. */
export function openDevice(path: string): Device {
  const file = openSync(path, constants.O_RDWR);
  return {
    control: (request, structure, pointers = []) => control(file, path, request, structure, pointers),
    [Symbol.dispose]: () => closeSync(file),
  };
}

function control(file: number, path: string, request: bigint, structure: Uint8Array, pointers: readonly StructPointer[]): void {
  const outer = place({ offset: 0, buffer: structure, pointers });
  try {
    checked("ioctl", libc().call.ioctl(file, request, outer.memory), `0x${request.toString(16)} on ${path}`);
  } finally {
    copyBack(outer);
  }
}

/** Memory that holds still, beside what it is a copy of. */
interface Placed {
  readonly original: Uint8Array;
  readonly memory: Uint8Array<ArrayBuffer>;
  readonly addresses: readonly { readonly offset: number; readonly address: bigint }[];
  readonly inside: readonly Placed[];
}

/** Small typed arrays live where the collector may move them; an ArrayBuffer of its own does not. */
function place({ buffer, pointers = [] }: StructPointer): Placed {
  const memory = new Uint8Array(new ArrayBuffer(buffer.length));
  memory.set(buffer);
  const inside = pointers.map(place);
  const addresses = inside.map((placed, index) => ({ offset: pointers[index]?.offset ?? 0, address: addressOf(placed.memory) }));
  for (const { offset, address } of addresses) new DataView(memory.buffer).setBigUint64(offset, address, true);
  return { original: buffer, memory, addresses, inside };
}

/** What the kernel wrote; addresses become zero again, they mean nothing outside. */
function copyBack({ original, memory, addresses, inside }: Placed): void {
  for (const { offset } of addresses) new DataView(memory.buffer).setBigUint64(offset, 0n, true);
  original.set(memory);
  for (const placed of inside) copyBack(placed);
}
