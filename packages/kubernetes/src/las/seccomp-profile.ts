import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** What a chart names as `seccompProfile: {type: Localhost, localhostProfile: …}`: relative to the kubelet's seccomp directory. */
export const SECCOMP_PROFILE = "vouchsafe/runtime.json";

/*
 * Pod Security "restricted" demands a seccomp profile, and the usual one forbids user namespaces, which the runtime needs to hide secrets in a
 * mount namespace of its own without any capability. This profile lets unshare, mount and their relatives through and forbids what else the
 * usual profile withholds from a container without capabilities. Inside a user namespace the kernel still confines each of these calls to
 * objects that the namespace owns.
 */
const FORBIDDEN = {
  "kernel code and its replacement": [
    "init_module",
    "finit_module",
    "delete_module",
    "create_module",
    "kexec_load",
    "kexec_file_load",
    "bpf",
  ],
  "the whole machine": [
    "reboot",
    "swapon",
    "swapoff",
    "acct",
    "quotactl",
    "quotactl_fd",
    "syslog",
    "sethostname",
    "setdomainname",
    "vhangup",
  ],
  "time of the machine": ["settimeofday", "clock_settime", "clock_settime64", "clock_adjtime", "clock_adjtime64", "adjtimex", "stime"],
  hardware: ["iopl", "ioperm", "pciconfig_read", "pciconfig_write", "pciconfig_iobase"],
  "other processes": [
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "process_madvise",
    "kcmp",
    "pidfd_getfd",
    "move_pages",
    "mbind",
    "migrate_pages",
    "set_mempolicy",
    "set_mempolicy_home_node",
  ],
  "namespaces of others": ["setns"],
  "keys of the kernel": ["add_key", "request_key", "keyctl"],
  "files past their directories": ["open_by_handle_at", "name_to_handle_at", "lookup_dcookie", "fanotify_init"],
  "large attack surface": [
    "userfaultfd",
    "perf_event_open",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "nfsservctl",
    "vmsplice",
  ],
  obsolete: ["uselib", "ustat", "sysfs", "_sysctl", "personality", "vm86", "vm86old", "get_kernel_syms", "query_module", "afs_syscall"],
} as const satisfies Record<string, readonly string[]>;

/** The profile as the container runtime reads it (OCI runtime specification, linux.seccomp). */
export function renderSeccompProfile(): string {
  const syscalls = Object.entries(FORBIDDEN).map(([what, names]) => ({ names, action: "SCMP_ACT_ERRNO", errnoRet: 1, comment: what }));
  const profile = {
    defaultAction: "SCMP_ACT_ALLOW",
    architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
    syscalls,
  };
  return `${JSON.stringify(profile, undefined, 2)}\n`;
}

/** Writes the profile below the kubelet's seccomp directory, in one step. */
export function installSeccompProfile(seccompDirectory: string): void {
  const file = join(seccompDirectory, SECCOMP_PROFILE);
  mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
  writeFileSync(`${file}.new`, renderSeccompProfile(), { mode: 0o644 });
  renameSync(`${file}.new`, file);
}
