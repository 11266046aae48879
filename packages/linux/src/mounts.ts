import { checked, cString, libc } from "./libc.ts";

/** Flags of mount(2). */
export const MOUNT_FLAGS = {
  readOnly: 1n,
  noSetUserId: 2n,
  noDevices: 4n,
  noExecute: 8n,
  remount: 32n,
  bind: 4096n,
  move: 8192n,
  recursive: 16_384n,
  private: 1n << 18n,
  slave: 1n << 19n,
} as const;
export type MountFlag = keyof typeof MOUNT_FLAGS;

const PIVOT_ROOT = new Map([
  ["x64", 155n],
  ["arm64", 41n],
]);
const DETACH = 2;

export interface MountRequest {
  readonly source: string;
  readonly target: string;
  /** `tmpfs`, `proc`, …; empty for bind mounts, moves and changes of propagation. */
  readonly type?: string;
  readonly flags?: readonly MountFlag[];
  /** Options of the file system, comma-separated. */
  readonly options?: string;
}

/** mount(2). Symbolic links in `target` are followed. */
export function mount({ source, target, type = "", flags = [], options = "" }: MountRequest): void {
  const bits = flags.reduce((all, flag) => all | MOUNT_FLAGS[flag], 0n);
  const result = libc().call.mount(cString(source), cString(target), cString(type), bits, cString(options));
  checked("mount", result, `${type || flags.join(",")} at ${target}`);
}

/** Shows `source` (with everything mounted below it) at `target` too. Both are directories, or both are not. */
export function bindMount(source: string, target: string): void {
  mount({ source, target, flags: ["bind", "recursive"] });
}

/** What is mounted or unmounted from now on stays in this mount namespace. */
export function makeMountsPrivate(): void {
  mount({ source: "none", target: "/", flags: ["private", "recursive"] });
}

/** Detaches what is mounted at `target` with everything below it; files in use live on until they are closed. */
export function detachMount(target: string): void {
  checked("umount2", libc().call.umount2(cString(target), DETACH), target);
}

/** Makes the mount point `newRoot` the root of this mount namespace; the old root appears at `oldRoot`, a directory below it. */
export function pivotRoot(newRoot: string, oldRoot: string): void {
  const number = PIVOT_ROOT.get(process.arch);
  if (number === undefined) throw new TypeError(`pivot_root is not known for ${process.arch}`);
  const [put, old] = [cString(newRoot), cString(oldRoot)];
  const result = libc().call.syscall(number, address(put), address(old), 0n, 0n, 0n, 0n);
  checked("pivot_root", Number(result), newRoot);
}

/** Changes the root of this process; the caller changes the working directory. */
export function changeRoot(root: string): void {
  checked("chroot", libc().call.chroot(cString(root)), root);
}

const address = (bytes: Uint8Array): bigint => process.getBuiltinModule("node:ffi").getRawPointer(bytes);
