import { MOUNT_FLAGS, type MountFlag } from "./mounts.ts";
import { NAMESPACE_FLAGS, type NamespaceKind } from "./namespaces.ts";

/** An argument: a number, or text that is passed as the address of its NUL-terminated bytes, or the address of bytes as they are. */
export type Argument = number | bigint | string | Uint8Array;

/** What a program consists of. `name` is what it says where the step fails; it must hold no secret. */
export type Step =
  | {
      readonly kind: "call";
      readonly name: string;
      readonly number: number;
      readonly arguments: readonly Argument[];
      readonly optional: boolean;
    }
  /** Sends one byte to the starter and goes on when one byte came back; the end of the socket is a failure. */
  | { readonly kind: "meet"; readonly name: string }
  /** Sends one byte to the starter. */
  | { readonly kind: "say"; readonly name: string; readonly byte: string }
  /** The rest of the program comes over the order socket: see `renderContinuation`. */
  | { readonly kind: "continue"; readonly name: string }
  /** The next `length` bytes of the order socket become the content of a file. */
  | { readonly kind: "receive"; readonly name: string; readonly path: string; readonly length: number }
  /** The child goes on; the parent waits for it and ends with its exit status (128 and the signal's number where a signal ended it). */
  | { readonly kind: "fork"; readonly name: string }
  | {
      readonly kind: "execute";
      readonly name: string;
      readonly path: string;
      readonly argv: readonly string[];
      readonly environment: Readonly<Record<string, string>>;
      readonly optional: boolean;
    };

const NUMBERS = {
  mount: 165,
  umount2: 166,
  unshare: 272,
  chdir: 80,
  mkdir: 83,
  symlink: 88,
  chmod: 90,
  chown: 92,
  umask: 95,
  mknod: 133,
  pivot_root: 155,
  sethostname: 170,
  prctl: 157,
  setgroups: 116,
  setresgid: 119,
  setresuid: 117,
  setsid: 112,
  fcntl: 72,
  capset: 126,
  prlimit64: 302,
  close_range: 436,
} as const;

const call = (syscall: keyof typeof NUMBERS, what: string, ...args: readonly Argument[]): Step => ({
  kind: "call",
  name: `${syscall} ${what}`.trimEnd(),
  number: NUMBERS[syscall],
  arguments: args,
  optional: false,
});

const REGULAR_FILE = 0o100_644;
const DETACH = 2;
const SIGKILL = 9;
const F_SETFD = 2;
const CLOSE_RANGE_CLOEXEC = 4;
const RLIMIT_CORE = 4;
const PR_SET_PDEATHSIG = 1;
const PR_SET_DUMPABLE = 4;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_RAISE = 2;
const PR_CAP_AMBIENT_CLEAR_ALL = 4;
const CAPABILITY_VERSION = 0x2008_0522;

/** Data of capset(2) for capabilities below 32. */
function capabilitySets(capabilities: readonly number[], isInheritable: boolean): [header: Uint8Array, sets: Uint8Array] {
  const header = new Uint8Array(8);
  new DataView(header.buffer).setUint32(0, CAPABILITY_VERSION, true);
  const sets = new Uint8Array(24);
  const bits = capabilities.reduce((all, one) => all | (1 << one), 0);
  // Effective, permitted, inheritable.
  for (const offset of isInheritable ? [0, 4, 8] : [0, 4]) new DataView(sets.buffer).setUint32(offset, bits, true);
  return [header, sets];
}

/** The steps a program can consist of. */
export const step = {
  unshare: (...kinds: readonly NamespaceKind[]): Step =>
    call(
      "unshare",
      kinds.join(","),
      kinds.reduce((bits, kind) => bits | NAMESPACE_FLAGS[kind], 0),
    ),
  mount: (source: string, target: string, type: string, flags: readonly MountFlag[] = [], options = ""): Step => {
    const bits = flags.reduce((all, flag) => all | MOUNT_FLAGS[flag], 0n);
    return call("mount", `${type || flags.join(",")} at ${target}`, source, target, type, bits, options);
  },
  /** What is mounted from now on stays in this mount namespace. */
  makeMountsPrivate: (): Step => step.mount("none", "/", "", ["private", "recursive"]),
  /** Shows `source`, with everything mounted below it, at `target` too. Both are directories, or both are not. */
  bind: (source: string, target: string): Step => step.mount(source, target, "", ["bind", "recursive"]),
  detach: (target: string): Step => call("umount2", target, target, DETACH),
  changeDirectory: (path: string): Step => call("chdir", path, path),
  makeDirectory: (path: string, mode: number): Step => call("mkdir", path, path, mode),
  /** An empty file, to mount another one over it. */
  makeFile: (path: string): Step => call("mknod", path, path, REGULAR_FILE, 0),
  makeLink: (path: string, target: string): Step => call("symlink", path, target, path),
  changeOwner: (path: string, uid: number, gid: number): Step => call("chown", path, path, uid, gid),
  changeMode: (path: string, mode: number): Step => call("chmod", path, path, mode),
  /** Makes or empties the file, for its owner alone, and gives it the next `length` bytes of the order socket. Links are followed. */
  receiveFile: (path: string, length: number): Step => ({ kind: "receive", name: `write ${path}`, path, length }),
  /** The working directory becomes the root; the old root is stacked on it and can be detached as ".". */
  pivotHere: (): Step => call("pivot_root", "", ".", "."),
  setHostName: (name: string): Step => call("sethostname", name, name, Buffer.byteLength(name)),
  becomeUser: (uid: number, gid: number): Step[] => [
    call("setgroups", "", 0, 0),
    call("setresgid", String(gid), gid, gid, gid),
    call("setresuid", String(uid), uid, uid, uid),
  ],
  /**
   * Keeps these capabilities (numbers of linux/capability.h, below 32) and no others, also for an ordinary user and through the next execve:
   * they become permitted, effective, inheritable and ambient.
   */
  keepCapabilities: (...capabilities: readonly number[]): Step[] => [
    call("capset", "", ...capabilitySets(capabilities, true)),
    ...capabilities.map((one) => call("prctl", `PR_CAP_AMBIENT ${one}`, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, one, 0, 0)),
  ],
  /** Keeps these capabilities and no others until the next execve, which an ordinary user leaves without any. */
  keepCapabilitiesHere: (...capabilities: readonly number[]): Step => call("capset", "", ...capabilitySets(capabilities, false)),
  clearAmbientCapabilities: (): Step => call("prctl", "PR_CAP_AMBIENT_CLEAR_ALL", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0),
  /** From now on no execve gives rights: set-user-ID bits and file capabilities are ignored. */
  setNoNewPrivileges: (): Step => call("prctl", "PR_SET_NO_NEW_PRIVS", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
  /** Closes `/proc/PID/{mem,environ,root,fd,…}` to the process's own user. Lasts until execve. */
  hideFromOwnUser: (): Step => call("prctl", "PR_SET_DUMPABLE", PR_SET_DUMPABLE, 0, 0, 0, 0),
  /** No core dump, neither now nor after execve. */
  forbidCoreDumps: (): Step => call("prlimit64", "RLIMIT_CORE", 0, RLIMIT_CORE, new Uint8Array(16), 0),
  /** Ends with whoever started it, even if that was killed. */
  dieWithParent: (): Step => call("prctl", "PR_SET_PDEATHSIG", PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0),
  newSession: (): Step => call("setsid", ""),
  setMask: (mask: number): Step => call("umask", "", mask),
  /** Closes the descriptor when the next program begins. */
  closeOnExecute: (descriptor: number): Step => call("fcntl", String(descriptor), descriptor, F_SETFD, 1),
  /** The same for every descriptor from `first` on. */
  closeAllOnExecute: (first: number): Step => call("close_range", String(first), first, 0xffff_ffffn, CLOSE_RANGE_CLOEXEC),
  meet: (name: string): Step => ({ kind: "meet", name }),
  say: (byte: string): Step => ({ kind: "say", name: `say ${byte}`, byte }),
  continue: (): Step => ({ kind: "continue", name: "continue" }),
  fork: (): Step => ({ kind: "fork", name: "fork" }),
  execute: (path: string, argv: readonly string[], environment: Readonly<Record<string, string>>): Step => ({
    kind: "execute",
    name: `execve ${path}`,
    path,
    argv,
    environment,
    optional: false,
  }),
  /** The same step, whose failure does not matter: the next one follows. */
  optional: (one: Step): Step => (one.kind === "call" || one.kind === "execute" ? { ...one, optional: true } : one),
  /** The same step under another name. */
  renamed: (one: Step, name: string): Step => ({ ...one, name }),
} as const;
