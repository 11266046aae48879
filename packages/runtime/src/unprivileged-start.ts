import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { Duplex } from "node:stream";
import { openSystemCallProgram, step } from "@vouchsafe/linux";
import { RuntimeError } from "./runtime-error.ts";

/*
 * A container without root and without capabilities may still make a user namespace, in which it is free to arrange mounts of its own. Node
 * cannot enter one (it has several threads), so the process that becomes the program is started through a few system calls: new namespaces,
 * the user mapped to itself, and the capabilities that laying out the view takes, until `execve` of the program drops them.
 */

/** linux/capability.h */
const CAPABILITIES = { chown: 0, overrideAccess: 1, owner: 3, systemAdministration: 21 } as const;
/** The socket to the starter; the order follows on it once the namespaces are there. */
const STATUS_FILE = 3;

/** A process that waits for its order. */
export interface StartedProgram {
  readonly child: ChildProcess;
  /** Ends when the process may be given its order. Throws R-VIEW where the container may not make the namespaces, R-PROGRAM where it may not make a process. */
  readonly isReady: Promise<void>;
}

/** Starts `script` with `argv` in a new user and mount namespace. The first of the additional files must be a pipe: it is used until ready. */
export function startInUserNamespace(
  argv: readonly string[],
  environment: Readonly<Record<string, string>>,
  stdio: StdioOptions,
): StartedProgram {
  const program = openSystemCallProgram([
    step.unshare("user", "mount"),
    step.meet("user"),
    ...step.keepCapabilities(...Object.values(CAPABILITIES)),
    step.execute(process.execPath, [process.execPath, ...argv], environment),
  ]);
  const child = spawn(program.path, [], { stdio, env: {} });
  program[Symbol.dispose]();
  return { child, isReady: mapUser(child) };
}

function mapUser(child: ChildProcess): Promise<void> {
  const socket = child.stdio[STATUS_FILE];
  if (!(socket instanceof Duplex)) throw new TypeError("the first additional file is no pipe");
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const refuse = (what: string, cause?: unknown) =>
    reject(
      new RuntimeError("R-VIEW", `this container may not make a user namespace (${what})`, {
        cause,
        remedy:
          "Let the pod use the seccomp profile of the node agent (Localhost, vouchsafe/runtime.json), or none; see docs/platforms.md.",
      }),
    );
  child.once("error", (cause) => refuse("the start failed", cause));
  child.once("exit", () => refuse("the process ended at once"));
  socket.once("data", (bytes: Buffer) => {
    const report = bytes.toString("latin1");
    if (report !== "u") return refuse(report.slice(1));
    try {
      const [uid, gid] = [process.getuid?.(), process.getgid?.()];
      writeFileSync(`/proc/${child.pid}/setgroups`, "deny");
      writeFileSync(`/proc/${child.pid}/gid_map`, `${gid} ${gid} 1`);
      writeFileSync(`/proc/${child.pid}/uid_map`, `${uid} ${uid} 1`);
    } catch (cause) {
      return refuse("its users cannot be mapped", cause);
    }
    socket.write("g");
    resolve();
    return undefined;
  });
  promise.catch(() => undefined); // looked at when the order is handed over
  return promise;
}
