import { isInside } from "./inside.ts";
import type { Mount } from "./mount-table.ts";
import { RuntimeError } from "./runtime-error.ts";

/*
 * What of the container's mounts the program may see. Whoever writes the pod chooses them: a volume may hold code or settings that no image has, and
 * what the program writes to one lies in clear on the node, open to every other container of the pod and to `kubectl exec`. So the program sees what
 * the kernel and the container runtime give every container, what its own image asks for (`build.host_paths`), and nothing else.
 */

/** Where programs write by custom: memory of the program's own, whatever is mounted there. */
export const SCRATCH: readonly string[] = ["/tmp", "/var/tmp", "/run", "/var/run", "/dev/shm"];
/** Given by the kernel; nothing can be injected below them. */
export const KERNEL: readonly string[] = ["/proc", "/sys", "/dev"];
/** File systems that keep nothing on a disk. */
const MEMORY = ["tmpfs", "ramfs", "devtmpfs", "devpts", "mqueue", "hugetlbfs"];
const KERNEL_TYPES = [
  ...MEMORY,
  ...["proc", "sysfs", "cgroup", "cgroup2", "securityfs", "debugfs", "tracefs", "bpf", "efivarfs", "pstore", "configfs", "fusectl"],
  ...["binfmt_misc", "nsfs", "fuse.lxcfs"],
];
/** Written by container runtime and kubelet for each container; the program's user cannot change them, and its last word is public. */
const FILES_OF_THE_CONTAINER = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev/termination-log"];
/** Hidden without a word: every container has them. */
const ACCOUNT = "/run/secrets/kubernetes.io/serviceaccount"; // below /var where the image has no link there
const PLATFORM = ["/run/vouchsafe", ACCOUNT, `/var${ACCOUNT}`, "/run/.containerenv"];
/** How the kubelet names the directory of an `emptyDir`. */
const EMPTY_DIRECTORY = /\/volumes\/kubernetes\.io~empty-dir\//;

/** What the container's mounts come to in the program's view. */
export interface JudgedMounts {
  /** Targets that the program sees as they are. */
  readonly shown: ReadonlySet<string>;
  /** Directories that are memory of the program's own; parents come first. */
  readonly memory: readonly string[];
  /** What the user should know about volumes that the program does not see. */
  readonly warnings: readonly string[];
}

/** What is known about a path of the container. */
export interface MountPlaces {
  readonly isDirectory: (path: string) => boolean;
  /** Whether the image has protected files at a path, or whether that is not known. */
  readonly mayHideImage: (path: string) => boolean;
}

/**
 * Judges the mounts of the container. An `emptyDir` holds nothing that is to be kept, so the program gets memory in its place; any other volume is
 * refused, since a program that was started without it would believe that it keeps what it loses. Throws R-VIEW with every such volume.
 */
export function judgeMounts(mounts: readonly Mount[], hostPaths: readonly string[], places: MountPlaces): JudgedMounts {
  const shown = new Set<string>();
  const memory = new Set(SCRATCH.filter(places.isDirectory));
  const warnings: string[] = [];
  const refused: Mount[] = [];
  for (const mount of mounts) {
    const { target, type } = mount;
    const isEmptyDirectory = places.isDirectory(target) && isEphemeral(mount);
    if (target === "/") continue;
    if (hostPaths.some((path) => isInside(target, path))) {
      shown.add(target);
      memory.delete(target);
    } else if (SCRATCH.some((path) => isInside(target, path))) {
      if (isEmptyDirectory) memory.add(target);
      if (!MEMORY.includes(type) && !PLATFORM.some((path) => isInside(target, path))) warnings.push(hidden(mount));
    } else if (FILES_OF_THE_CONTAINER.includes(target) && !places.isDirectory(target)) shown.add(target);
    else if (KERNEL.some((path) => isInside(target, path))) KERNEL_TYPES.includes(type) ? shown.add(target) : refused.push(mount);
    else if (isEmptyDirectory && !places.mayHideImage(target)) {
      memory.add(target);
      warnings.push(hidden(mount));
    } else refused.push(mount);
  }
  if (refused.length > 0) throw refusal(refused);
  return { shown, memory: [...memory].sort(), warnings };
}

/** An `emptyDir`, on disk or in memory. The kubelet mounts volumes with content of the cluster (ConfigMap, Secret, projected) read-only. */
const isEphemeral = ({ root, type, options }: Mount): boolean =>
  EMPTY_DIRECTORY.test(`${root}/`) || (type === "tmpfs" && !options.has("ro"));

const describe = ({ target, type }: Mount): string => `${target} (${type})`;

const hidden = (mount: Mount): string =>
  `the volume mounted at ${describe(mount)} is not shown to the program, which has memory of its own there: what it wrote to the volume would lie in clear on the node`;

function refusal(mounts: readonly Mount[]): RuntimeError {
  const [places, them] = [mounts.map(describe).join(", "), mounts.length === 1 ? "it" : "them"];
  return new RuntimeError(
    "R-VIEW",
    `the container has a volume at ${places}, which the program must not see: it could be given anything there, and what it wrote would lie in clear on the node`,
    {
      remedy: `Take ${them} out of the pod (extraVolumeMounts of the chart). An emptyDir where the image has nothing becomes memory of the program; a path whose content needs no protection can stand in build.host_paths of the service manifest.`,
    },
  );
}
