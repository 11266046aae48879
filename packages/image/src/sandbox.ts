import { mkdir, mkdtemp, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { ImageError, type ImageErrorCode } from "./image-error.ts";
import { type CommandResult, runCommand } from "./run-command.ts";

export interface SandboxBind {
  readonly source: string;
  /** Absolute path in the sandbox; made where it is missing. */
  readonly target: string;
}

export interface SandboxRequest {
  /** Root file system to run in. */
  readonly root: string;
  /** `kept`: changes stay in `root`. `dropped`: they vanish with the sandbox, so what runs inside cannot poison a cached root. */
  readonly changes: "kept" | "dropped";
  readonly network: boolean;
  readonly binds: readonly SandboxBind[];
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
  /** Code of the error when the sandbox itself cannot be made. */
  readonly code: ImageErrorCode;
  /** Where the sandbox may make its mount point. */
  readonly scratchDir: string;
  readonly signal?: AbortSignal | undefined;
}

const SETUP_FAILED = 123;

/*
 * Runs inside the new namespaces, before the change of root. Arguments: mount point, root, kept|dropped, working directory, pairs of source and
 * target, "--", command. Everything it mounts vanishes with the mount namespace.
 */
const SETUP = `
fail() { echo "sandbox: $1" >&2; exit ${SETUP_FAILED}; }
scratch=$1 root=$2 changes=$3 directory=$4; shift 4
mount --make-rprivate / 2>/dev/null || mount --make-rslave / 2>/dev/null || fail "cannot separate the mounts"
mount -t tmpfs -o mode=0755 tmpfs "$scratch" || fail "cannot mount a tmpfs"
new=$scratch/root; mkdir "$new" "$scratch/upper" "$scratch/work"
if [ "$changes" = kept ]; then mount --rbind "$root" "$new" || fail "cannot bind the root"
elif ! mount -t overlay -o "lowerdir=$root,upperdir=$scratch/upper,workdir=$scratch/work,userxattr" overlay "$new" 2>/dev/null; then
  cp -a "$root/." "$new/" || fail "cannot copy the root"
fi
mkdir -p "$new/proc" "$new/dev" "$new/tmp"
mount -t proc proc "$new/proc" 2>/dev/null || mount --rbind /proc "$new/proc" || fail "cannot mount /proc"
# /dev must not be a directory for everybody: the kernel would refuse to open devices of others there for writing.
mount -t tmpfs -o mode=1777 tmpfs "$new/tmp" && mount -t tmpfs -o mode=0755 tmpfs "$new/dev" || fail "cannot mount /tmp and /dev"
for device in null zero full random urandom; do : > "$new/dev/$device"; mount --bind "/dev/$device" "$new/dev/$device" || fail "cannot bind /dev/$device"; done
while [ "$1" != -- ]; do
  if [ -d "$1" ]; then mkdir -p "$new$2"; else mkdir -p "$(dirname "$new$2")"; [ -e "$new$2" ] || : > "$new$2"; fi
  mount --rbind "$1" "$new$2" || fail "cannot bind $2"
  shift 2
done
shift
exec chroot "$new" /bin/sh -c 'cd "$1" && shift && exec "$@"' sh "$directory" "$@"
`;

const namespaces = ["--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child"];
const asUser = ["--user", "--map-root-user"];

/**
 * Runs a command as (apparent) root in another root file system, in own namespaces: it sees nothing of this machine but what is bound. Needs no
 * root rights where user namespaces are allowed. Returns the command's result; throws only if there can be no sandbox.
 */
export async function runInSandbox(request: SandboxRequest): Promise<CommandResult> {
  await mkdir(request.scratchDir, { recursive: true });
  const scratch = await mkdtemp(join(request.scratchDir, "sandbox-"));
  const environment = { ...request.environment, PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" };
  const network = request.network ? [] : ["--net"];
  const inner = [
    ...["sh", "-c", SETUP, "sandbox", scratch, request.root, request.changes, request.workingDirectory],
    ...request.binds.flatMap(({ source, target }) => [source, target]),
    "--",
    ...request.command,
  ];
  const attempt = (user: readonly string[]) =>
    runCommand("unshare", [...user, ...namespaces, ...network, ...inner], request.code, { environment, signal: request.signal });
  try {
    let result = await attempt(asUser);
    // Real root may still make the other namespaces where user namespaces are forbidden.
    if (isSetupFailure(result) && process.getuid?.() === 0) result = await attempt([]);
    if (isSetupFailure(result)) {
      throw new ImageError(request.code, `no sandbox can be made on this machine: ${result.stderr.trim()}`, {
        remedy:
          "Allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0), or build as root.",
      });
    }
    return result;
  } finally {
    await rmdir(scratch).catch(() => undefined); // empty outside of the namespace; a leftover is harmless
  }
}

const isSetupFailure = ({ status, stderr }: CommandResult): boolean =>
  (status === SETUP_FAILED && stderr.startsWith("sandbox: ")) || (status !== 0 && /^unshare: /.test(stderr));
