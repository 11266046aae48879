import { constants } from "node:os";
import { SystemCallError } from "./system-call-error.ts";

/** Every C function the house calls. All are synchronous and act on the calling thread or the whole process. */
const SIGNATURES = {
  __errno_location: { return: "pointer", arguments: [] },
  prctl: { return: "i32", arguments: ["i32", "u64", "u64", "u64", "u64"] },
  prlimit: { return: "i32", arguments: ["i32", "i32", "buffer", "pointer"] },
  ioctl: { return: "i32", arguments: ["i32", "u64", "buffer"] },
  waitpid: { return: "i32", arguments: ["i32", "buffer", "i32"] },
  memfd_create: { return: "i32", arguments: ["buffer", "u32"] },
  syscall: { return: "i64", arguments: ["i64", "u64", "u64", "u64", "u64", "u64", "u64"] },
} as const;

type Functions = import("node:ffi").DynamicLibraryResult<typeof SIGNATURES>["functions"];

interface Libc {
  readonly call: Functions;
  readonly errno: () => number;
}

let loaded: Libc | undefined;

/** Each function is looked up when it is used first: the start of a program needs a third of them. */
function openFunctions(): Functions {
  const library = new (nodeFfi().DynamicLibrary)(null);
  const functions = {};
  for (const [name, signature] of Object.entries(SIGNATURES)) {
    const get = () => {
      const value = library.getFunction(name, signature);
      Object.defineProperty(functions, name, { value });
      return value;
    };
    Object.defineProperty(functions, name, { get, configurable: true });
  }
  return functions as Functions; // every name of SIGNATURES was defined
}

/** Node announces on stderr that FFI is experimental, which belongs into this room's README and not into the log of every program. */
function nodeFfi(): typeof import("node:ffi") {
  const announce = process.emitWarning;
  process.emitWarning = () => {};
  try {
    return process.getBuiltinModule("node:ffi");
  } finally {
    process.emitWarning = announce;
  }
}

/** Where the bytes of a buffer lie; valid while the buffer is referenced. Its memory must be its own (`new ArrayBuffer`). */
export const addressOf = (buffer: Uint8Array): bigint => nodeFfi().getRawPointer(buffer);

/** Opened at first use: a program that never needs a system call never loads FFI. */
export function libc(): Libc {
  if (loaded === undefined) {
    const call = openFunctions();
    const location = call.__errno_location();
    const { getInt32 } = nodeFfi();
    loaded = { call, errno: () => getInt32(location, 0) };
  }
  return loaded;
}

/** Passes a result on, or throws the errno as an error. `subject` says what the call was about; it must hold no secret. */
export function checked(syscall: string, result: number, subject = ""): number {
  if (result >= 0) return result;
  throw new SystemCallError(syscall, libc().errno(), subject);
}

/** NUL-terminated bytes. A NUL inside would silently shorten the text, so it is the caller's mistake. */
export function cString(text: string): Buffer {
  if (text.includes("\0")) throw new TypeError("text for a system call contains a NUL");
  return Buffer.from(`${text}\0`);
}

/** EINTR is the only failure that means "once more". */
export const isInterrupted = (): boolean => libc().errno() === constants.errno.EINTR;
