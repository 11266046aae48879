/**
 * The launcher's program, bundled into every image. As process 1 of a container it attests and supervises; with `--become-program` it is the
 * process that turns into the program.
 */
import { forbidCoreDumps, setDumpable } from "@vouchsafe/linux";
import { startProgram } from "./start-program.ts";

// No `await` at the top level: the bundle is a CommonJS script.
const loadSupervisor = () => import("./supervise.ts");
const loadProgram = () => import("./become-program.ts");

/** `argv` is that of the process. Does not return; what goes wrong is in the log. */
export async function main([, script = "", mode, ...rest]: readonly string[]): Promise<never> {
  try {
    // Before either process knows a secret.
    setDumpable(false);
    forbidCoreDumps();
    if (mode === "--become-program") (await loadProgram()).becomeProgram();
    // The other process needs as long to begin as this one to load what it needs and to attest.
    const program = startProgram(script);
    const { supervise } = await loadSupervisor();
    const hostArguments = [process.argv0, ...(mode === undefined ? [] : [mode, ...rest])];
    process.exit(await supervise(program, hostArguments, process.env));
  } catch (error) {
    process.stderr.write(`vouchsafe: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(1);
  }
}

/** Loads everything and does nothing: so the functions become known that run at every start, and are kept compiled (scripts/compile-script.ts). */
export async function load(): Promise<void> {
  await loadSupervisor();
  await loadProgram();
}
