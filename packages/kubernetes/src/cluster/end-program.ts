import { KubernetesError } from "../kubernetes-error.ts";

/** Ends a program that runs in a pod: a failure from outside is told in two lines, a bug with its stack. */
export function endProgram(error: unknown): never {
  if (error instanceof KubernetesError) {
    const help = error.remedy === undefined ? "" : `help: ${error.remedy}\n`;
    process.stderr.write(`error[${error.code}]: ${error.message}\n${help}`);
  } else {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  }
  process.exit(1);
}
