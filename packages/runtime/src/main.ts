/**
 * The launcher's program, bundled into every image. As process 1 of a container it attests and supervises; the process that turns into the program
 * is made of system calls alone (`start-program.ts`).
 */
import { forbidCoreDumps, setDumpable } from "@vouchsafe/linux";
import { RuntimeError } from "./runtime-error.ts";
import { startProgram } from "./start-program.ts";

// No `await` at the top level: the bundle is a CommonJS script.
const loadSupervisor = () => import("./supervise.ts");

/** `argv` is that of the process. Does not return; what goes wrong is in the log. */
export async function main([, , ...rest]: readonly string[]): Promise<never> {
  try {
    // Before it knows a secret.
    setDumpable(false);
    forbidCoreDumps();
    const program = startProgram();
    const { supervise } = await loadSupervisor();
    process.exit(await supervise(program, [process.argv0, ...rest], process.env));
  } catch (error) {
    const what = error instanceof RuntimeError || !(error instanceof Error) ? String(error) : (error.stack ?? error.message);
    process.stderr.write(`vouchsafe: ${what}\n`);
    process.exit(1);
  }
}

/** Loads everything and does nothing: so the functions become known that run at every start, and are kept compiled (scripts/compile-script.ts). */
export async function load(): Promise<void> {
  await loadSupervisor();
}
