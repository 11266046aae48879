import { VerificationCache } from "../../src/portable.ts";
import { answerTask, type Task } from "./task.ts";

/** What the test calls in the page: answers, or what else happened, in the order of the tasks. */
async function answerAll(address: string): Promise<{ readonly answers: readonly string[]; readonly milliseconds: number }> {
  const response = await fetch(address);
  const tasks = (await response.json()) as readonly Task[]; // the test's own server
  const cache = new VerificationCache();
  const answers: string[] = [];
  const started = performance.now();
  for (const task of tasks) answers.push(await answerTask(task, cache).catch((error: unknown) => `failure: ${String(error)}`));
  return { answers, milliseconds: performance.now() - started };
}

Object.assign(globalThis, { answerAll });
