/**
 * A process that holds one test file with everything it imports, the files to be mutated in their instrumented form, and runs single tests of it when told so.
 * It is driven by `test-worker.ts` and says nothing on its own.
 */
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { pathToFileURL } from "node:url";
import { switches } from "./switches.ts";
import { registeredTests, runAfterHooks, runTest, strayErrors } from "./test-harness.ts";
import type { Answer, Order } from "./test-worker.ts";

const harness = new URL("test-harness.ts", import.meta.url).href;

process.on("uncaughtException", (error) => void strayErrors.push(error));
process.on("unhandledRejection", (error) => void strayErrors.push(error));
process.on("disconnect", () => process.kill(-process.pid, "SIGKILL"));
process.on("message", (order: Order) => void answer(order).then((reply) => process.send?.(reply)));

async function answer(order: Order): Promise<Answer> {
  switches.active = order.mutant;
  switches.reached.clear();
  const start = performance.now();
  const error = await carryOut(order);
  switches.active = -1;
  const milliseconds = performance.now() - start;
  const tests = registeredTests.map(({ name }) => name);
  return { failure: error === undefined ? undefined : describeError(error), reached: [...switches.reached], milliseconds, tests };
}

function carryOut(order: Order): Promise<unknown> {
  if (order.kind === "load") return load(order.testFile, order.instrumented);
  return order.kind === "run" ? runNumber(order.test) : runAfterHooks();
}

/** `instrumented` tells for each file's URL where its instrumented form lies. */
async function load(testFile: string, instrumented: Readonly<Record<string, string>>): Promise<unknown> {
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === "node:test" && context.parentURL !== harness ? { url: harness, shortCircuit: true } : next(specifier, context),
    load: (url, context, next) => {
      const path = instrumented[url];
      return path === undefined
        ? next(url, context)
        : { format: "module-typescript", source: readFileSync(path, "utf8"), shortCircuit: true };
    },
  });
  try {
    await import(pathToFileURL(testFile).href);
    return strayErrors[0];
  } catch (error) {
    return error;
  }
}

async function runNumber(index: number): Promise<unknown> {
  const test = registeredTests[index];
  return test === undefined ? new TypeError(`there is no test ${index}`) : await runTest(test);
}

const describeError = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error)).slice(0, 2000);
