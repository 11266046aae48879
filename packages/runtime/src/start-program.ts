import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { Duplex, type Writable } from "node:stream";
import { openSystemCallProgram, type Step, step } from "@vouchsafe/linux";
import { RuntimeError } from "./runtime-error.ts";

/*
 * The process that becomes the program is no Node: a few hundred system calls turn it into what it has to be, and everything they need is decided by
 * process 1. So a start costs one Node and not two, and the process that lays out the secrets is as small as can be. It is started before the service
 * is attested, knows nothing, has closed itself to other processes of its user, and waits; the steps that hold secrets reach it through a socket
 * (`hand-over.ts`).
 *
 * A container without root and without capabilities may still make a user namespace, in which it is free to arrange mounts of its own: there the
 * user is mapped to itself, with the capabilities that laying out the view takes, until the program drops them.
 */

/** Said before `execve`, so that silence cannot be taken for success where the process was killed before. */
export const ALL_IS_LAID_OUT = ".";

/** linux/capability.h */
const CAPABILITIES = { chown: 0, overrideAccess: 1, owner: 3, systemAdministration: 21 } as const;
/* Descriptors beside the standard ones: as programs of system calls have them. */
const STATUS = 3;
const ORDER = 4;
const MEET_FOR_USER_MAP = "u";

/** A process that waits for its order. */
export interface StartedProgram {
  readonly child: ChildProcess;
  /** Ends when the process may be given its order. Throws R-VIEW where the container may not make the namespaces, R-PROGRAM where it may not make a process. */
  readonly isReady: Promise<void>;
  /** Steps, and the content of the files they write. */
  readonly order: Writable;
  /** What the process said, once it says nothing any more: because it became the program, or ended. */
  readonly outcome: Promise<string>;
}

/** Starts the process that becomes the program. It ends when this one does. */
export function startProgram(): StartedProgram {
  const isRoot = process.getuid?.() === 0;
  const steps: Step[] = isRoot
    ? []
    : [step.unshare("user", "mount"), step.meet(MEET_FOR_USER_MAP), step.keepCapabilitiesHere(...Object.values(CAPABILITIES))];
  // Whoever is not root in the container could else look into a process that knows everything.
  using program = openSystemCallProgram([...steps, step.hideFromOwnUser(), step.forbidCoreDumps(), step.continue()]);
  const child = spawnWaiting(program.path);
  const [status, order] = [child.stdio[STATUS], child.stdio[ORDER]];
  if (!(status instanceof Duplex && order instanceof Duplex)) throw new TypeError("the process was started without its sockets");
  const ready = Promise.withResolvers<void>();
  const said = Promise.withResolvers<string>();
  ready.promise.catch(() => undefined); // looked at when the order is handed over
  let text = "";
  const settle = isRoot ? () => {} : (reason: string) => ready.reject(namespaceRefused(reason));
  child.once("error", (cause) => ready.reject(new RuntimeError("R-PROGRAM", "a second process cannot be started", { cause })));
  child.once("spawn", isRoot ? ready.resolve : () => undefined);
  status.on("error", () => {}); // its end is what counts
  order.on("error", () => {}); // the process ended before it read: its outcome says why
  status.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
    if (isRoot || !text.startsWith(MEET_FOR_USER_MAP)) return;
    text = text.slice(MEET_FOR_USER_MAP.length);
    try {
      mapUserToItself(child.pid);
      status.write("g");
      ready.resolve();
    } catch (cause) {
      ready.reject(namespaceRefused("its users cannot be mapped", cause));
    }
  });
  status.once("close", () => {
    settle(text.slice(1) || "the process ended at once");
    said.resolve(text);
  });
  return { child, isReady: ready.promise, order, outcome: said.promise };
}

function spawnWaiting(path: string): ChildProcess {
  try {
    return spawn(path, [], { stdio: ["inherit", "inherit", "inherit", "pipe", "pipe"], env: {} });
  } catch (cause) {
    throw new RuntimeError("R-PROGRAM", "a second process cannot be started", { cause });
  }
}

function mapUserToItself(pid: number | undefined): void {
  const [uid, gid] = [process.getuid?.(), process.getgid?.()];
  writeFileSync(`/proc/${pid}/setgroups`, "deny");
  writeFileSync(`/proc/${pid}/gid_map`, `${gid} ${gid} 1`);
  writeFileSync(`/proc/${pid}/uid_map`, `${uid} ${uid} 1`);
}

const namespaceRefused = (what: string, cause?: unknown): RuntimeError =>
  new RuntimeError("R-VIEW", `this container may not make a user namespace (${what})`, {
    cause,
    remedy:
      "On Kubernetes set securityContext.seccompProfile of the pod (podSecurityContext of the chart) to {type: Localhost, localhostProfile: vouchsafe/runtime.json}, which the node agent installs; see docs/platforms.md.",
  });
