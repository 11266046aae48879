import { closeSync, constants, fstatSync, openSync, readlinkSync, readSync } from "node:fs";
import { z } from "zod";
import { KubernetesError } from "../kubernetes-error.ts";
import { findChangedByRoot, isOccupiedByImage, type Machine, type OverlayRoot, readOverlayRoot, resolveInRoot } from "./container-files.ts";
import type { RunningContainer } from "./container-runtime.ts";
import { type Connection, findConnectionOwners, findContainerId, identifyProcess, type ProcessIdentity } from "./tcp-owner.ts";

/** What the agent found about the process that asks: none of it comes from the caller. */
export interface CallerMeasurement {
  readonly container: RunningContainer;
  readonly imageDigest: string;
  /** Tag of the image's protected files, 32 hex digits; empty where it has none. */
  readonly fileSystemTag: string;
  /** Executable of the caller. */
  readonly program: string;
  /** `SESSION/SERVICE` for which the container was started. */
  readonly service: string;
}

/** What measuring needs of the machine. */
export interface Measuring {
  readonly inspect: (containerId: string) => Promise<RunningContainer>;
  /** Digest that the pod names, to choose among several names of one image; asked only where there are several. */
  readonly findNamedDigest: (container: RunningContainer) => Promise<string | undefined>;
  readonly machine: Machine;
}

const LAUNCHER = "/vouchsafe/bin/launcher";
const DESCRIPTION = "/vouchsafe/mesh/service.json";
const RUNTIME_PROGRAM = "/vouchsafe/runtime/bin/node";
const LAUNCHER_MAX_BYTES = 64 * 1024;
const DESCRIPTION_MAX_BYTES = 4 * 1024 * 1024;
const Description = z.object({
  format: z.literal(1),
  fileSystem: z.object({ tag: z.string().regex(/^[0-9a-f]{32}$/) }).optional(),
});
/** What every container gets from kubelet and container runtime; the image's own files at these places never count. */
const USUAL_MOUNTS = [
  /^\/(?:proc|sys|dev)(?:\/|$)/,
  /^\/etc\/(?:hosts|hostname|resolv\.conf)$/,
  /^\/(?:var\/)?run\/secrets\/kubernetes\.io\//,
];

/** A caller whose container is known, so that its pod can be told. */
export class RefusedCaller extends KubernetesError {
  readonly container: RunningContainer;
  constructor(container: RunningContainer, reason: KubernetesError) {
    super(reason.code, reason.message, { cause: reason, ...(reason.remedy === undefined ? {} : { remedy: reason.remedy }) });
    this.container = container;
  }
}

const refuse = (message: string, remedy?: string) => new KubernetesError("E-AGENT-CALLER", message, remedy === undefined ? {} : { remedy });

/**
 * Measures whoever holds the other end of a connection, from outside. `connection` is the caller's end. The order matters: first who calls, then
 * which container that is, then whether that container is still what its image says, and at last that the caller is still the same process.
 *
 * Throws E-AGENT-CALLER with the first reason why the agent must not vouch for the caller, and E-AGENT-RUNTIME.
 */
export async function measureCaller(connection: Connection, measuring: Measuring): Promise<CallerMeasurement> {
  const { container, owners } = await identifyCaller(connection, measuring);
  try {
    return await measureContainer(container, owners, measuring);
  } catch (error) {
    throw error instanceof KubernetesError ? new RefusedCaller(container, error) : error;
  }
}

/**
 * Which container is at the other end of a connection: nothing more is said about it, and any process in it may have called. Throws
 * E-AGENT-CALLER, E-AGENT-RUNTIME.
 */
export async function identifyCaller(
  connection: Connection,
  { inspect, machine }: Measuring,
): Promise<{ readonly container: RunningContainer; readonly owners: readonly ProcessIdentity[] }> {
  const owners = findConnectionOwners(connection, machine.proc);
  const ids = new Set(owners.map(({ pid }) => findContainerId(pid, machine.proc)));
  const [containerId] = ids;
  if (containerId === undefined || ids.size !== 1) {
    throw refuse(owners.length === 0 ? "the caller is not on this machine" : "the caller is not one container of this machine");
  }
  return { container: await inspect(containerId), owners };
}

async function measureContainer(
  container: RunningContainer,
  owners: readonly ProcessIdentity[],
  measuring: Measuring,
): Promise<CallerMeasurement> {
  const { proc } = measuring.machine;
  const first = owners.find(({ pid }) => pid === container.pid);
  if (first === undefined) {
    throw refuse(
      "the caller is not the first process of its container",
      "Evidence is given to the launcher only, not to a shell in its container.",
    );
  }
  assertUnprivileged(container);
  const root = readOverlayRoot(first.pid, measuring.machine);
  if (root === undefined)
    throw refuse("the container's root is no overlay of image layers", "Use the container runtime's overlay snapshotter.");
  const rootPath = `${proc}/${first.pid}/root`;
  assertImageFiles(container, root);
  assertStartedByLauncher(container, rootPath);
  const program = readlinkSync(`${proc}/${first.pid}/exe`);
  if (program !== RUNTIME_PROGRAM) throw refuse(`the caller runs ${program}, not the image's runtime`);
  const fileSystemTag = readFileSystemTag(rootPath);
  const imageDigest = await chooseDigest(container, measuring);
  const service = (container.process.environment.get("SCONE_CONFIG_ID") ?? "").split("@")[0] ?? "";
  if (service === "") throw refuse("the container has no SCONE_CONFIG_ID", "Install the chart that `sconectl apply` wrote.");
  // hazard I4: the PID may have been given to another process while we looked.
  if (identifyProcess(first.pid, proc)?.startTime !== first.startTime) throw refuse("the caller ended while it was measured");
  return { container, imageDigest, fileSystemTag, program, service };
}

/** A container with root rights could change what was measured right after the measurement. */
function assertUnprivileged({ process }: RunningContainer): void {
  const remedy = "Run the pod with runAsNonRoot, allowPrivilegeEscalation: false and capabilities.drop: [ALL], as the chart does.";
  if (process.userId === 0) throw refuse("the container runs as root", remedy);
  if (process.capabilities.length > 0) throw refuse(`the container has the capabilities ${process.capabilities.join(", ")}`, remedy);
  if (!process.noNewPrivileges) throw refuse("the container may gain privileges", remedy);
}

/** Nothing may lie over the image's files: no mount, no file that root has changed. */
function assertImageFiles(container: RunningContainer, root: OverlayRoot): void {
  const added = container.mounts.map(({ destination }) => destination).filter((path) => !USUAL_MOUNTS.some((usual) => usual.test(path)));
  const hiding = added.find((path) => path === "/vouchsafe" || path.startsWith("/vouchsafe/") || isOccupiedByImage(root, path));
  if (hiding !== undefined)
    throw refuse(`a volume mounted at ${hiding} hides files of the image`, "Mount volumes where the image has nothing.");
  const mountPoints = container.mounts.map(({ destination }) => destination);
  const changed = findChangedByRoot(root, mountPoints);
  if (changed !== undefined)
    throw refuse(`${changed} of the container differs from the image`, "Delete the pod, so that it starts anew from its image.");
}

/** The launcher cleans environment and arguments before anything else runs (MF-68); a container started with another program proves nothing. */
function assertStartedByLauncher({ process }: RunningContainer, rootPath: string): void {
  const [command = ""] = process.arguments;
  const found = command.includes("/")
    ? resolveInRoot(rootPath, command)
    : searchPath(rootPath, command, process.environment.get("PATH") ?? "");
  const launcher = resolveInRoot(rootPath, LAUNCHER);
  if (launcher === undefined) throw refuse("the image has no launcher", "Build the image with `sconectl apply`.");
  const expected = readLimited(launcher, LAUNCHER_MAX_BYTES);
  const started = found === undefined ? undefined : readLimited(found, LAUNCHER_MAX_BYTES);
  if (started === undefined || expected === undefined || !started.equals(expected)) {
    throw refuse(`the container was started with ${JSON.stringify(command)}, which is not the launcher`, "Remove `command` from the pod.");
  }
}

function searchPath(rootPath: string, command: string, path: string): string | undefined {
  for (const directory of path.split(":")) {
    const found = resolveInRoot(rootPath, `${directory}/${command}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

function readFileSystemTag(rootPath: string): string {
  const file = resolveInRoot(rootPath, DESCRIPTION);
  const bytes = file === undefined ? undefined : readLimited(file, DESCRIPTION_MAX_BYTES);
  if (bytes === undefined) throw refuse(`the image has no ${DESCRIPTION}`, "Build the image with `sconectl apply`.");
  try {
    return Description.parse(JSON.parse(bytes.toString("utf8"))).fileSystem?.tag ?? "";
  } catch (cause) {
    throw new KubernetesError("E-AGENT-CALLER", `the image's ${DESCRIPTION} cannot be read`, { cause });
  }
}

async function chooseDigest(container: RunningContainer, measuring: Measuring): Promise<string> {
  const [only, another] = container.imageDigests;
  if (only === undefined) {
    throw refuse("the container runtime knows no manifest digest of the image", "Push the image to a registry and name it by its digest.");
  }
  if (another === undefined) return only;
  const named = await measuring.findNamedDigest(container);
  const chosen = container.imageDigests.find((digest) => digest === named);
  if (chosen !== undefined) return chosen;
  throw refuse(
    "the image is known under several digests and the pod names none",
    "Name the image by its digest (repository:tag@sha256:…).",
  );
}

/** A container may put anything where its files should be: a pipe would keep the agent waiting for ever, a huge file take all of its memory. */
function readLimited(path: string, maxBytes: number): Buffer | undefined {
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  try {
    const status = fstatSync(file);
    if (!status.isFile() || status.size > maxBytes) return undefined;
    const bytes = Buffer.alloc(status.size);
    return bytes.subarray(0, readSync(file, bytes));
  } finally {
    closeSync(file);
  }
}
