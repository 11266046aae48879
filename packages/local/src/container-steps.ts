import { LAUNCHER_PATH } from "@vouchsafe/image";
import { type Step, step } from "@vouchsafe/linux";

/** Where a container's root is put together; every Linux has this directory, and in the container's own mount namespace it is free. */
const WORKSHOP = "/mnt";
const ROOT = `${WORKSHOP}/root`;
const DEVICES = ["null", "zero", "full", "random", "urandom"];
const TERMINATE_SAFELY = ["noSetUserId", "noDevices"] as const;

export interface ContainerPlan {
  readonly hostName: string;
  /** Unpacked image. */
  readonly root: string;
  /** Directory that holds `resolv.conf`, `hosts` and `hostname` of this container. */
  readonly nameFiles: string;
  /** Directory that appears as `/run/vouchsafe`: the agent's socket, and the mark of readiness. */
  readonly exchange: string;
  /** Id (outside) of the container's root. */
  readonly rootId: number;
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** What the container may see of the exchange directory. */
export const EXCHANGE_DIRECTORY = "/run/vouchsafe";
export const AGENT_SOCKET = `${EXCHANGE_DIRECTORY}/agent.sock`;
export const TPM_SOCKET = `${EXCHANGE_DIRECTORY}/tpm.sock`;
export const WORKLOAD_FILE = `${EXCHANGE_DIRECTORY}/workload`;
export const READY_FILE = `${EXCHANGE_DIRECTORY}/ready`;

/**
 * Turns a process of the engine into a container, from outside to inside. Network, host name and IPC belong to the engine, so that not even the
 * container's root can change its address; then comes a user namespace, and with it the container's own mounts and processes. The image is
 * mounted read-only; nothing else of this machine is visible but five device nodes, the name files and the exchange directory.
 */
export function containerSteps(plan: ContainerPlan): Step[] {
  const memory = (target: string, options: string, owner = 0): Step =>
    step.mount("tmpfs", target, "tmpfs", TERMINATE_SAFELY, `${options}${owner === 0 ? "" : `,uid=${owner},gid=${owner}`}`);
  return [
    step.unshare("mount", "network", "uts", "ipc"),
    step.meet("network"),
    step.setHostName(plan.hostName),
    step.mount("none", "/", "", ["private", "recursive"]),
    memory(WORKSHOP, "mode=0755,size=1m"),
    step.makeDirectory(ROOT, 0o755),
    step.mount(plan.root, ROOT, "", ["bind"]),
    step.mount("none", ROOT, "", ["bind", "remount", "readOnly", ...TERMINATE_SAFELY]),
    memory(`${ROOT}/dev`, "mode=0755,size=1m"),
    ...DEVICES.flatMap((name) => [step.makeFile(`${ROOT}/dev/${name}`), step.mount(`/dev/${name}`, `${ROOT}/dev/${name}`, "", ["bind"])]),
    ...Object.entries({ fd: "/proc/self/fd", stdin: "/proc/self/fd/0", stdout: "/proc/self/fd/1", stderr: "/proc/self/fd/2" }).map(
      ([name, target]) => step.makeLink(`${ROOT}/dev/${name}`, target),
    ),
    step.makeDirectory(`${ROOT}/dev/shm`, 0o1777),
    memory(`${ROOT}/dev/shm`, "mode=1777"),
    memory(`${ROOT}/tmp`, "mode=1777"),
    memory(`${ROOT}/run`, "mode=0755", plan.rootId),
    step.makeDirectory(`${ROOT}${EXCHANGE_DIRECTORY}`, 0o755),
    step.mount(plan.exchange, `${ROOT}${EXCHANGE_DIRECTORY}`, "", ["bind"]),
    ...["resolv.conf", "hosts", "hostname"].map((name) => step.mount(`${plan.nameFiles}/${name}`, `${ROOT}/etc/${name}`, "", ["bind"])),
    step.unshare("user"),
    step.meet("user"),
    ...step.becomeUser(0, 0),
    step.unshare("mount", "pid"),
    step.fork(),
    step.dieWithParent(),
    step.newSession(),
    step.mount("none", "/", "", ["private", "recursive"]),
    // What came along from the engine's namespace is locked; a copy of it is ours to move.
    step.mount(ROOT, ROOT, "", ["bind", "recursive"]),
    step.mount("proc", `${ROOT}/proc`, "proc", [...TERMINATE_SAFELY, "noExecute"]),
    step.changeDirectory(ROOT),
    step.pivotHere(),
    step.detach("."),
    step.changeDirectory("/"),
    step.setMask(0o022),
    step.closeOnExecute(3),
    step.execute(LAUNCHER_PATH, plan.argv, plan.environment),
  ];
}

export interface MeshNamespacePlan {
  /** Whether a user namespace is needed to be root in. */
  readonly isRootless: boolean;
  readonly program: string;
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * Turns a process into the host of one mesh: process 1 of a PID namespace, so that its end is the end of everything in the mesh, with a network and
 * mounts of its own. An ordinary user becomes root of a user namespace first.
 */
export function meshNamespaceSteps(plan: MeshNamespacePlan): Step[] {
  return [
    ...(plan.isRootless ? [step.unshare("user"), step.meet("user"), ...step.becomeUser(0, 0)] : []),
    step.unshare("mount", "network", "pid", "uts", "ipc"),
    step.fork(),
    step.dieWithParent(),
    step.newSession(),
    step.mount("none", "/", "", ["private", "recursive"]),
    step.mount("proc", "/proc", "proc", [...TERMINATE_SAFELY, "noExecute"]),
    step.closeOnExecute(3),
    step.execute(plan.program, plan.argv, plan.environment),
  ];
}
