import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { Writable } from "node:stream";
import { errnoName, renderContinuation, step } from "@vouchsafe/linux";
import type { LayoutStep, Phase } from "./layout.ts";
import { RuntimeError } from "./runtime-error.ts";
import { ALL_IS_LAID_OUT, type StartedProgram } from "./start-program.ts";

/** Contents travel together until there are so many bytes: an application may have thousands of small files. */
const BATCH_BYTES = 256 * 1024;

/**
 * Gives the order and waits until the process has become the program: it says that all is laid out, and `execve` closes the socket. Contents are
 * wiped once they are sent. Throws what the failed phase says, or R-PROGRAM where the process ended without a word.
 */
export async function handOver({ child, order, outcome }: StartedProgram, phases: readonly Phase[]): Promise<void> {
  const steps = phases.flatMap((phase, number) =>
    phase.steps.map((one): LayoutStep => ({ ...one, step: step.renamed(one.step, `${number} ${one.step.name}`) })),
  );
  const program = render(steps);
  void send(order, program, steps);
  const said = await outcome;
  if (said === ALL_IS_LAID_OUT) return;
  const [, phase, call] = /!(\d+) (.*)$/s.exec(said) ?? [];
  const failed = phases[Number(phase)];
  const how = await ending(child);
  if (failed !== undefined) throw failed.failure(`${call}: ${errnoName(child.exitCode ?? 0)}`);
  throw new RuntimeError("R-PROGRAM", `the starting process ended ${how}`, {
    remedy: "SIGKILL usually means that the container has too little memory.",
  });
}

function render(steps: readonly LayoutStep[]): Uint8Array {
  try {
    return renderContinuation(steps.map((one) => one.step));
  } catch (cause) {
    // The policy language forbids it, so it can only be an older CAS.
    throw new RuntimeError("R-PROGRAM", "a path, argument or variable of the policy holds a byte that no system call takes", { cause });
  }
}

/** A process that ends meanwhile is no failure of the sending: its outcome says why. */
async function send(order: Writable, program: Uint8Array, steps: readonly LayoutStep[]): Promise<void> {
  const batch = [program];
  let bytes = 0;
  const flush = async () => {
    await write(order, batch);
    for (const part of batch.splice(0)) part.fill(0);
    bytes = 0;
  };
  for (const { content } of steps) {
    if (content === undefined) continue;
    batch.push(content);
    bytes += content.length;
    if (bytes >= BATCH_BYTES) await flush();
  }
  await flush();
  order.end();
}

/** Ends when the parts are sent, or never will be. */
function write(order: Writable, parts: readonly Uint8Array[]): Promise<void> {
  return new Promise((resolve) => {
    order.cork();
    for (const [index, part] of parts.entries()) order.write(part, index === parts.length - 1 ? () => resolve() : undefined);
    order.uncork();
    if (parts.length === 0) resolve();
  });
}

async function ending(child: ChildProcess): Promise<string> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return child.signalCode === null ? `with status ${child.exitCode}` : `by ${child.signalCode}`;
}
