import { checked, cString, libc } from "./libc.ts";

const PR_SET_DUMPABLE = 4;
const PR_GET_DUMPABLE = 3;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_CLEAR_ALL = 4n;
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

/** From now on no `execve` gives rights: set-user-ID bits and file capabilities are ignored. Cannot be undone; inherited. */
export function setNoNewPrivileges(): void {
  control(PR_SET_NO_NEW_PRIVS, 1n, "PR_SET_NO_NEW_PRIVS");
}

/** Empties the ambient set: an `execve` by another user than root then leaves no capability. */
export function clearAmbientCapabilities(): void {
  control(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, "PR_CAP_AMBIENT_CLEAR_ALL");
}

/** No core dump, neither now nor after `execve`; the program cannot raise it again. */
export function forbidCoreDumps(): void {
  checked("prlimit", libc().call.prlimit(0, RLIMIT_CORE, Buffer.alloc(16), 0n), "RLIMIT_CORE");
}

/** Becomes another user for good: no supplementary groups; real, effective and saved ids set, group first. */
export function becomeUser({ uid, gid }: { readonly uid: number; readonly gid: number }): void {
  const { call } = libc();
  checked("setgroups", call.setgroups(0n, Buffer.alloc(4)));
  checked("setresgid", call.setresgid(gid, gid, gid), String(gid));
  checked("setresuid", call.setresuid(uid, uid, uid), String(uid));
}

export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;

/** Who connected the Unix socket behind `descriptor`, in terms of this process's namespaces, as of the moment of `connect`. */
export function readPeerCredentials(descriptor: number): PeerCredentials {
  const credentials = Buffer.alloc(12);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(credentials.length);
  checked("getsockopt", libc().call.getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, credentials, length), "SO_PEERCRED");
  return { pid: credentials.readInt32LE(0), uid: credentials.readUInt32LE(4), gid: credentials.readUInt32LE(8) };
}

const MFD_CLOEXEC = 1;

/** A file without a name, in memory; it is gone with its last descriptor. Closed at `execve`. */
export function createMemoryFile(name: string): number {
  return checked("memfd_create", libc().call.memfd_create(cString(name), MFD_CLOEXEC), name);
}
