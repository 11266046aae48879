import { spawn } from "node:child_process";
import { RuntimeError } from "./runtime-error.ts";
import { type StartedProgram, startInUserNamespace } from "./unprivileged-start.ts";

/** File descriptors of the process that becomes the program, beside the standard ones. */
export const ORDER_FILE = 3;
export const OUTCOME_FILE = 4;

/**
 * Starts the process that becomes the program, from the same script as this one. With root rights it arranges its own namespaces; without, it must be
 * started in them. It knows nothing before it gets its order, and ends when this process does.
 */
export function startProgram(script: string): StartedProgram {
  const { LD_LIBRARY_PATH } = process.env;
  const stdio: ("inherit" | "pipe")[] = ["inherit", "inherit", "inherit"];
  stdio[ORDER_FILE] = "pipe";
  stdio[OUTCOME_FILE] = "pipe";
  const environment = LD_LIBRARY_PATH === undefined ? {} : { LD_LIBRARY_PATH };
  const argv = [...process.execArgv, script, "--become-program"];
  if (process.getuid?.() !== 0) return startInUserNamespace(argv, environment, stdio);
  const child = spawn(process.execPath, argv, { stdio, env: environment });
  const { promise: isReady, resolve, reject } = Promise.withResolvers<void>();
  child.once("spawn", resolve);
  child.once("error", (cause) => reject(new RuntimeError("R-PROGRAM", "a second process cannot be started", { cause })));
  isReady.catch(() => undefined); // looked at when the order is handed over
  return { child, isReady };
}
