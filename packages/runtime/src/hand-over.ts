import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import type { ProgramOrder } from "./become-program.ts";
import { RuntimeError } from "./runtime-error.ts";
import { ORDER_FILE, OUTCOME_FILE } from "./start-program.ts";

/**
 * Gives the order and waits until the process has become the program: it says on the outcome pipe that all is laid out, and `execve` closes the pipe.
 * Throws R-PROGRAM and R-VIEW as the process says it, or R-PROGRAM where it ended without a word.
 */
export async function handOver(program: ChildProcess, order: ProgramOrder): Promise<void> {
  // Both were asked for as pipes in `startProgram`.
  const orderPipe = program.stdio[ORDER_FILE] as Writable;
  const outcomePipe = program.stdio[OUTCOME_FILE] as Readable;
  orderPipe.on("error", () => {}); // the process ended before it read: its outcome says why
  orderPipe.end(JSON.stringify(order));
  const outcome = await text(outcomePipe);
  if (outcome === "") throw await endedBefore(program);
  if (outcome.trim() === "") return;
  const { message, remedy, cause } = JSON.parse(outcome);
  throw new RuntimeError("R-PROGRAM", String(message), {
    ...(remedy === undefined ? {} : { remedy }),
    ...(cause === undefined ? {} : { cause: new Error(String(cause)) }),
  });
}

async function endedBefore(program: ChildProcess): Promise<RuntimeError> {
  if (program.exitCode === null && program.signalCode === null) await once(program, "exit");
  const how = program.signalCode === null ? `with status ${program.exitCode}` : `by ${program.signalCode}`;
  return new RuntimeError("R-PROGRAM", `the starting process ended ${how}`, {
    remedy: "SIGKILL usually means that the container has too little memory.",
  });
}
