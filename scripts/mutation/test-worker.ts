/** A test file loaded in a process of its own, asked one thing at a time. A process that gives no answer in time is ended. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

/** `mutant` is the one that is on meanwhile, -1 for none. */
export type Order = (
  | { readonly kind: "load"; readonly testFile: string; readonly instrumented: Readonly<Record<string, string>> }
  | { readonly kind: "run"; readonly test: number }
  | { readonly kind: "end" }
) & { readonly mutant: number };

export interface Answer {
  /** Undefined when the test passed, or the file was loaded. */
  readonly failure: string | undefined;
  readonly reached: readonly number[];
  readonly milliseconds: number;
  readonly tests: readonly string[];
}

const LOAD_LIMIT_MS = 300_000;
const END_LIMIT_MS = 30_000;

/** A worker whose test never ends hears of nothing: it has to be ended with this process. */
const living = new Set<ChildProcess>();
const endLiving = (): void => living.forEach(endGroup);
process.on("exit", endLiving);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130));

function endGroup({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid !== undefined && exitCode === null && signalCode === null) process.kill(-pid, "SIGKILL");
}

export class TestWorker implements AsyncDisposable {
  readonly #process: ChildProcess;

  private constructor(process: ChildProcess) {
    this.#process = process;
    living.add(process);
    process.once("exit", () => living.delete(process));
  }

  /** Each worker leads a group of its own, so that what its tests started ends with it. A loop that a mutant leaves without its end meets the limit of the heap. */
  static async load(
    testFile: string,
    instrumented: Readonly<Record<string, string>>,
    { heapMib, mutant = -1, limitMs = LOAD_LIMIT_MS }: { readonly heapMib: number; readonly mutant?: number; readonly limitMs?: number },
  ): Promise<{ worker: TestWorker; loaded: Answer }> {
    const execArgv = [`--max-old-space-size=${heapMib}`];
    const worker = new TestWorker(fork(join(import.meta.dirname, "worker.ts"), { stdio: "ignore", execArgv, detached: true }));
    return { worker, loaded: await worker.#ask({ kind: "load", testFile, instrumented, mutant }, limitMs) };
  }

  get isAlive(): boolean {
    return this.#process.connected;
  }

  run(test: number, mutant: number, limitMs: number): Promise<Answer> {
    return this.#ask({ kind: "run", test, mutant }, limitMs);
  }

  /** No answer is a failure: of a test that never ends, or that ends its process. */
  async #ask(order: Order, limitMs: number): Promise<Answer> {
    const none = (failure: string): Answer => ({ failure, reached: [order.mutant], milliseconds: limitMs, tests: [] });
    const settled = new AbortController();
    const { signal } = settled;
    const timer = setTimeout(() => endGroup(this.#process), limitMs);
    const start = performance.now();
    try {
      this.#process.send(order);
      const answered = once(this.#process, "message", { signal }).then(([answer]) => answer as Answer);
      const ended = once(this.#process, "exit", { signal }).then(() =>
        none(performance.now() - start >= limitMs ? `no end within ${limitMs} ms` : "the process ended"),
      );
      return await Promise.race([answered, ended]);
    } finally {
      clearTimeout(timer);
      settled.abort();
    }
  }

  /** Lets the file's own hooks tidy up. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.isAlive) await this.#ask({ kind: "end", mutant: -1 }, END_LIMIT_MS);
    endGroup(this.#process);
  }
}
