import { closeSync, openSync } from "node:fs";
import { checked, cString, libc } from "./libc.ts";

/** Bits of `unshare` and `setns` (linux/sched.h). */
export const NAMESPACE_FLAGS = {
  mount: 0x0002_0000,
  cgroup: 0x0200_0000,
  uts: 0x0400_0000,
  ipc: 0x0800_0000,
  user: 0x1000_0000,
  pid: 0x2000_0000,
  network: 0x4000_0000,
} as const;
export type NamespaceKind = keyof typeof NAMESPACE_FLAGS;

/**
 * Leaves the shared namespaces of the named kinds. Acts on the calling thread only: threads that exist already (libuv's pool) stay behind, so
 * call it on the main thread of a fresh process, before any asynchronous file operation. `user` needs a process with one thread, which Node
 * never is (EINVAL).
 */
export function unshare(...kinds: readonly NamespaceKind[]): void {
  const flags = kinds.reduce((bits, kind) => bits | NAMESPACE_FLAGS[kind], 0);
  checked("unshare", libc().call.unshare(flags), kinds.join(","));
}

/** Enters the namespace that a file such as `/proc/PID/ns/net` names. Calling thread only, as {@link unshare}. */
export function enterNamespace(file: string, kind: NamespaceKind): void {
  const descriptor = openSync(file, "r");
  try {
    checked("setns", libc().call.setns(descriptor, NAMESPACE_FLAGS[kind]), file);
  } finally {
    closeSync(descriptor);
  }
}

/** Sets the host name of the calling process's UTS namespace. */
export function setHostName(name: string): void {
  const bytes = cString(name);
  checked("sethostname", libc().call.sethostname(bytes, BigInt(bytes.length - 1)), name);
}
