import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { renderSeccompProfile, SECCOMP_PROFILE } from "./seccomp-profile.ts";

/** Kernel settings that close user namespaces to programs without rights, and what each must be. */
const SETTINGS = [
  { path: "sys/user/max_user_namespaces", isOpen: (value: string) => value !== "0", remedy: "sysctl -w user.max_user_namespaces=65536" },
  {
    path: "sys/kernel/unprivileged_userns_clone",
    isOpen: (value: string) => value !== "0",
    remedy: "sysctl -w kernel.unprivileged_userns_clone=1",
  },
  {
    path: "sys/kernel/apparmor_restrict_unprivileged_userns",
    isOpen: (value: string) => value !== "1",
    remedy: "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
  },
] as const;

/**
 * Why the runtime could not hide secrets on this node, with what to do; undefined when it can. `proc` is the node's own: a setting that a kernel
 * does not have closes nothing.
 */
export function findNodeProblem(proc: string, seccompDirectory: string): string | undefined {
  for (const { path, isOpen, remedy } of SETTINGS) {
    const file = join(proc, path);
    if (!existsSync(file)) continue;
    const value = readFileSync(file, "utf8").trim();
    if (!isOpen(value)) return `user namespaces are forbidden on the node (${path.slice(4).replaceAll("/", ".")} is ${value}): ${remedy}`;
  }
  const profile = join(seccompDirectory, SECCOMP_PROFILE);
  if (!existsSync(profile))
    return `the seccomp profile ${SECCOMP_PROFILE} is missing below the kubelet's directory: check kubeletRoot of the LAS`;
  if (readFileSync(profile, "utf8") !== renderSeccompProfile()) return `the seccomp profile ${SECCOMP_PROFILE} was changed on the node`;
  return undefined;
}
