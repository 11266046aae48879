import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { Duplex } from "node:stream";
import { errnoName, openSystemCallProgram, type Step } from "@vouchsafe/linux";
import { LocalError } from "./local-error.ts";

/** What the starter does at a meeting point, by its name's first letter. */
export type Meetings = Readonly<Record<string, (pid: number) => Promise<void> | void>>;

const REMEDIES: readonly { readonly pattern: RegExp; readonly remedy: string }[] = [
  {
    pattern: /^unshare user.*(EPERM|ENOSPC|EACCES)/,
    remedy:
      "Allow user namespaces: sysctl user.max_user_namespaces=15000, and where they exist kernel.unprivileged_userns_clone=1 and kernel.apparmor_restrict_unprivileged_userns=0. Or run as root.",
  },
  {
    pattern: /^mount proc/,
    remedy:
      "This machine is itself a container that hides parts of /proc: start it with --security-opt unmask=ALL (podman) or systempaths=unconfined (Docker).",
  },
  { pattern: /EPERM/, remedy: "A container or security module forbids it here: run `vouchsafe doctor`." },
];

export interface StartedProgram {
  readonly child: ChildProcess;
  /** Ends with the process, once all its output was delivered. Counts from the first moment: the program may have ended before anybody waits. */
  readonly ended: Promise<void>;
}

/**
 * Starts a program of system calls and resolves when its last step has executed the real program. `stdio` is for descriptors 0 to 2; `output` gets
 * what comes from those of 1 and 2 that are pipes, from the first byte on. Throws L-NAMESPACE with the step that the kernel refused.
 */
export async function startProgram(
  steps: readonly Step[],
  meetings: Meetings,
  stdio: Extract<StdioOptions, readonly unknown[]>,
  output?: (chunk: Buffer) => void,
): Promise<StartedProgram> {
  const program = openSystemCallProgram(steps);
  const child = spawn(program.path, [], { stdio: [...stdio, "pipe"], env: {} });
  program[Symbol.dispose](); // the child has executed it, or never will
  const end = Promise.withResolvers<void>();
  child.once("close", () => end.resolve());
  if (output !== undefined) for (const stream of [child.stdout, child.stderr]) stream?.on("data", output);
  const socket = child.stdio[3];
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  child.once("error", (cause) => reject(new LocalError("L-NAMESPACE", "a program cannot be started from memory", { cause })));
  if (!(socket instanceof Duplex) || child.pid === undefined) {
    await promise; // rejected by the error event
    throw new TypeError("spawn gave neither a socket nor an error");
  }
  const pid = child.pid;
  let failedStep = "";
  socket.on("error", () => {}); // its end is what counts
  socket.on("data", (chunk: Buffer) => {
    const said = chunk.toString();
    if (failedStep !== "" || said.startsWith("!")) {
      failedStep += said;
      return;
    }
    Promise.resolve(meetings[said]?.(pid)).then(
      () => socket.write("g"),
      (error: unknown) => {
        reject(error);
        child.kill("SIGKILL");
      },
    );
  });
  socket.on("close", resolve);
  await promise;
  if (failedStep === "") return { child, ended: end.promise };
  await end.promise;
  const reason = `${failedStep.slice(1)} failed: ${errnoName(child.exitCode ?? 0)}`;
  const remedy = REMEDIES.find(({ pattern }) => pattern.test(reason))?.remedy;
  throw new LocalError("L-NAMESPACE", `the kernel refused a step: ${reason}`, remedy === undefined ? {} : { remedy });
}
