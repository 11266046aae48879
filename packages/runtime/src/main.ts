/**
 * The launcher's program, bundled into every image. As process 1 of a container it attests and supervises; the process that turns into the program
 * is made of system calls alone (`start-program.ts`).
 */
import { forbidCoreDumps, setDumpable } from "@vouchsafe/linux";
import { RuntimeError } from "./runtime-error.ts";
import { startProgram } from "./start-program.ts";
import { supervise } from "./supervise.ts";

/** `argv` is that of the process. Does not return; what goes wrong is in the log. */
export async function main([, , ...rest]: readonly string[]): Promise<never> {
  try {
    // Before it knows a secret.
    setDumpable(false);
    forbidCoreDumps();
    const environment = { ...process.env };
    // Nothing here tells a local time, and to find out the container's time zone Node would compare all files of /usr/share/zoneinfo.
    process.env["TZ"] = "UTC";
    process.exit(await supervise(startProgram(), [process.argv0, ...rest], environment));
  } catch (error) {
    const what = error instanceof RuntimeError || !(error instanceof Error) ? String(error) : (error.stack ?? error.message);
    process.stderr.write(`vouchsafe: ${what}\n`);
    process.exit(1);
  }
}
