import { constants } from "node:os";

/** A system call said no. `code` is the symbolic errno (`EPERM`), as everywhere in Node. */
export class SystemCallError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
  /** What the reader can do about it, where the errno alone tells. */
  readonly remedy: string | undefined;

  constructor(syscall: string, errno: number, subject: string) {
    const code = errnoName(errno);
    super(`${syscall}${subject === "" ? "" : ` ${subject}`} failed: ${code}`);
    this.name = "SystemCallError";
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
    this.remedy =
      code === "EPERM" && (syscall === "unshare" || syscall === "mount")
        ? "Allow user namespaces and mounts here: a seccomp profile, AppArmor or a missing capability forbids them."
        : undefined;
  }
}

/** `EPERM` for 1; `errno 4711` for what this Node does not know. */
export function errnoName(errno: number): string {
  return Object.entries(constants.errno).find(([, number]) => number === errno)?.[0] ?? `errno ${errno}`;
}
