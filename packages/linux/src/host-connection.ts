import { closeSync, readSync, writeSync } from "node:fs";
import { addressOf, checked, libc } from "./libc.ts";

/** A stream between a virtual machine and its host (vsock(7)). Reading and writing block, for `timeoutMs` at most. */
export interface HostConnection extends Disposable {
  write(bytes: Uint8Array): void;
  /** Exactly so many bytes. Throws what read(2) throws, and an Error when the stream ends before. */
  read(length: number): Uint8Array;
}

const AF_VSOCK = 40;
const SOCK_STREAM_CLOEXEC = 0x80001n;
const HOST_CID = 2;
const ADDRESS_BYTES = 16;
const SOL_SOCKET = 1n;
const SO_RCVTIMEO = 20n;
const SO_SNDTIMEO = 21n;
/** Numbers of x86-64. */
const SYSTEM_CALL = { socket: 41n, connect: 42n, setsockopt: 54n } as const;

/** Connects to a service of the host. Throws SystemCallError, for example where this is no virtual machine or the host does not listen. */
export function connectHost(port: number, timeoutMs: number): HostConnection {
  const file = call("socket", "a vsock socket", BigInt(AF_VSOCK), SOCK_STREAM_CLOEXEC);
  try {
    const time = memory(16, (view) => {
      view.setBigInt64(0, BigInt(Math.floor(timeoutMs / 1000)), true);
      view.setBigInt64(8, BigInt(timeoutMs % 1000) * 1000n, true);
    });
    for (const option of [SO_RCVTIMEO, SO_SNDTIMEO])
      call("setsockopt", "the timeout of a vsock socket", BigInt(file), SOL_SOCKET, option, addressOf(time), BigInt(time.length));
    const address = memory(ADDRESS_BYTES, (view) => {
      view.setUint16(0, AF_VSOCK, true);
      view.setUint32(4, port, true);
      view.setUint32(8, HOST_CID, true);
    });
    call("connect", `port ${port} of the host`, BigInt(file), addressOf(address), BigInt(address.length));
  } catch (error) {
    closeSync(file);
    throw error;
  }
  return connectionOver(file);
}

/** Takes the file over. */
export const connectionOver = (file: number): HostConnection => ({
  write: (bytes) => writeAll(file, bytes),
  read: (length) => readAll(file, length),
  [Symbol.dispose]: () => closeSync(file),
});

function call(name: keyof typeof SYSTEM_CALL, subject: string, ...given: readonly bigint[]): number {
  const [a = 0n, b = 0n, c = 0n, d = 0n, e = 0n] = given;
  return checked(name, Number(libc().call.syscall(SYSTEM_CALL[name], a, b, c, d, e, 0n)), subject);
}

/** Memory of its own, whose address holds. */
function memory(length: number, fill: (view: DataView) => void): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(length));
  fill(new DataView(bytes.buffer));
  return bytes;
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
}

function readAll(file: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const read = readSync(file, bytes, at, length - at, null);
    if (read === 0) throw new Error(`the host closed the connection after ${at} of ${length} bytes`);
    at += read;
  }
  return bytes;
}
