import { accessSync, constants, existsSync, mkdirSync, statfsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { step } from "@vouchsafe/linux";
import { LocalError } from "./local-error.ts";
import { TOOL_PATH } from "./run-command.ts";
import { startProgram } from "./start-program.ts";
import { mapSubordinateIds, readSubordinateRanges } from "./user-mapping.ts";

/** One thing the local engine needs. `failed` findings keep an application from starting. */
export interface Finding {
  readonly name: string;
  readonly outcome: "ok" | "warning" | "failed";
  readonly detail: string;
  readonly remedy?: string;
}

const TOOLS: readonly { readonly command: string; readonly package: string; readonly purpose: string; readonly rootless?: boolean }[] = [
  { command: "ip", package: "iproute2", purpose: "networks of applications" },
  { command: "nsenter", package: "util-linux", purpose: "networks of applications" },
  { command: "newuidmap", package: "uidmap", purpose: "users inside containers", rootless: true },
  { command: "newgidmap", package: "uidmap", purpose: "users inside containers", rootless: true },
  { command: "apt-get", package: "apt", purpose: "base images" },
  { command: "dpkg-deb", package: "dpkg", purpose: "base images" },
];
const FREE_BYTES_NEEDED = 2 * 1024 ** 3;

/** Checks this machine by doing what an application needs, where that is possible, instead of reading settings about it. */
export async function examineMachine(stateDir: string): Promise<Finding[]> {
  const isRoot = process.getuid?.() === 0;
  const tools = TOOLS.filter(({ rootless }) => rootless !== true || !isRoot).map(examineTool);
  const findings = [examinePlatform(), ...tools];
  if (!isRoot) findings.push(examineSubordinateIds());
  if (findings.every(({ outcome }) => outcome !== "failed")) findings.push(await examineNamespaces(isRoot));
  return [...findings, examineStateDirectory(stateDir), examineDisk(stateDir)];
}

function examinePlatform(): Finding {
  const found = `${process.platform} ${process.arch}`;
  if (process.platform === "linux" && process.arch === "x64") return { name: "platform", outcome: "ok", detail: found };
  return {
    name: "platform",
    outcome: "failed",
    detail: `${found}; linux x64 is needed`,
    remedy: "Use a Linux machine with an x86-64 processor.",
  };
}

function examineTool({ command, package: name, purpose }: (typeof TOOLS)[number]): Finding {
  const found = TOOL_PATH.split(delimiter)
    .map((directory) => join(directory, command))
    .find(existsSync);
  if (found !== undefined) return { name: command, outcome: "ok", detail: found };
  return { name: command, outcome: "failed", detail: `missing; needed for ${purpose}`, remedy: `Run as root: apt-get install ${name}` };
}

function examineSubordinateIds(): Finding {
  try {
    const { uids } = readSubordinateRanges();
    return { name: "subordinate ids", outcome: "ok", detail: `${uids.first} and ${uids.count - 1} more` };
  } catch (error) {
    return fromError("subordinate ids", error);
  }
}

/** Makes the namespaces of an application with a memory file system and /proc in them, and leaves at once. */
async function examineNamespaces(isRoot: boolean): Promise<Finding> {
  const name = "namespaces";
  const steps = [
    ...(isRoot ? [] : [step.unshare("user"), step.meet("user"), ...step.becomeUser(0, 0)]),
    step.unshare("mount", "network", "uts", "ipc"),
    step.mount("none", "/", "", ["private", "recursive"]),
    step.mount("tmpfs", "/mnt", "tmpfs"),
    step.unshare("user"),
    step.meet("inner"),
    step.unshare("mount", "pid"),
    step.fork(),
    step.mount("proc", "/proc", "proc", ["noSetUserId", "noDevices", "noExecute"]),
    step.closeOnExecute(3),
    step.execute("/bin/true", ["true"], {}),
  ];
  try {
    const { child } = await startProgram(steps, { u: mapSubordinateIds }, ["ignore", "ignore", "ignore"]);
    child.kill("SIGKILL");
    return { name, outcome: "ok", detail: `can be made ${isRoot ? "as root" : "as an ordinary user"}` };
  } catch (error) {
    return fromError(name, error);
  }
}

function examineStateDirectory(stateDir: string): Finding {
  const name = "state directory";
  try {
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    accessSync(stateDir, constants.W_OK | constants.X_OK);
    return { name, outcome: "ok", detail: stateDir };
  } catch (error) {
    const detail = `${stateDir} cannot be written (${error instanceof Error && "code" in error ? error.code : "unknown"})`;
    return { name, outcome: "failed", detail, remedy: "Make it writable, or set XDG_STATE_HOME to a directory that is." };
  }
}

function examineDisk(stateDir: string): Finding {
  const name = "disk";
  try {
    const { bavail, bsize } = statfsSync(stateDir);
    const free = bavail * bsize;
    const detail = `${(free / 1024 ** 3).toFixed(1)} GiB free`;
    if (free >= FREE_BYTES_NEEDED) return { name, outcome: "ok", detail };
    return { name, outcome: "warning", detail: `${detail}; images need about 2 GiB`, remedy: "Free some space." };
  } catch {
    return { name, outcome: "warning", detail: "free space is unknown" }; // the state directory has its own finding
  }
}

function fromError(name: string, error: unknown): Finding {
  if (!(error instanceof LocalError)) throw error;
  return { name, outcome: "failed", detail: error.message, ...(error.remedy === undefined ? {} : { remedy: error.remedy }) };
}
