/**
 * The launcher's program, bundled into every image. As process 1 of a container it attests and supervises; with `--become-program` it is the
 * process that turns into the program; with `--probe` it answers whether the program was attested and started.
 */
import { existsSync } from "node:fs";
import { becomeProgram } from "./become-program.ts";
import { READY_FILE } from "./ready-file.ts";

const [, , mode, ...rest] = process.argv;
if (mode === "--become-program") becomeProgram();
else if (mode === "--probe") process.exit(existsSync(process.env["VOUCHSAFE_READY_FILE"] ?? READY_FILE) ? 0 : 1);
else {
  const { supervise } = await import("./supervise.ts");
  const hostArguments = [process.argv0, ...(mode === undefined ? [] : [mode, ...rest])];
  process.exit(await supervise(hostArguments, process.env));
}
