import { checked, cString, libc } from "./libc.ts";

const PR_SET_DUMPABLE = 4;
const PR_GET_DUMPABLE = 3;
const RLIMIT_CORE = 4;

const control = (option: number, value: bigint, name: string): number =>
  checked("prctl", libc().call.prctl(option, value, 0n, 0n, 0n), name);

/** Closes `/proc/PID/{mem,environ,root,fd,…}` of this process to its own user, and forbids core dumps. Lasts until `execve`. */
export function setDumpable(dumpable: boolean): void {
  control(PR_SET_DUMPABLE, dumpable ? 1n : 0n, "PR_SET_DUMPABLE");
}

export function isDumpable(): boolean {
  return control(PR_GET_DUMPABLE, 0n, "PR_GET_DUMPABLE") === 1;
}

/** No core dump, neither now nor after `execve`; the program cannot raise it again. */
export function forbidCoreDumps(): void {
  checked("prlimit", libc().call.prlimit(0, RLIMIT_CORE, Buffer.alloc(16), 0n), "RLIMIT_CORE");
}

const MFD_CLOEXEC = 1;

/** A file without a name, in memory; it is gone with its last descriptor. Closed at `execve`. */
export function createMemoryFile(name: string): number {
  return checked("memfd_create", libc().call.memfd_create(cString(name), MFD_CLOEXEC), name);
}
