/**
 * The launcher's program, bundled into every image. As process 1 of a container it attests and supervises; with `--become-program` it is the
 * process that turns into the program.
 */
import { becomeProgram } from "./become-program.ts";

/** No `await` at the top level: the bundle is a CommonJS script, which Node compiles once and lazily. */
async function main([, , mode, ...rest]: readonly string[]): Promise<void> {
  if (mode === "--become-program") becomeProgram();
  // Only process 1 needs the network, the protocol and its schemas.
  const { supervise } = await import("./supervise.ts");
  const hostArguments = [process.argv0, ...(mode === undefined ? [] : [mode, ...rest])];
  process.exit(await supervise(hostArguments, process.env));
}

main(process.argv).catch((error: unknown) => {
  process.stderr.write(`vouchsafe: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
});
