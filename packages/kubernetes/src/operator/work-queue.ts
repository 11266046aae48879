/** Result of one piece of work: when to look again, in milliseconds. Undefined: when something changes. */
export type NextLook = number | undefined;

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 30_000;
const PARALLEL = 4;

/**
 * Runs work by key: never twice at once for one key, never lost. A request for a key that is being worked on makes one more run afterwards; work
 * that throws is repeated with growing, scattered pauses of at most 30 s.
 */
export class WorkQueue {
  readonly #work: (key: string) => Promise<NextLook>;
  readonly #onError: (key: string, error: unknown) => void;
  readonly #waiting = new Set<string>();
  readonly #running = new Set<string>();
  readonly #again = new Set<string>();
  readonly #failures = new Map<string, number>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  #isStopped = false;
  #onIdle: (() => void) | undefined;

  constructor(work: (key: string) => Promise<NextLook>, onError: (key: string, error: unknown) => void) {
    this.#work = work;
    this.#onError = onError;
  }

  add(key: string): void {
    if (this.#isStopped) return;
    clearTimeout(this.#timers.get(key));
    this.#timers.delete(key);
    if (this.#running.has(key)) this.#again.add(key);
    else this.#waiting.add(key);
    this.#start();
  }

  /** Takes no more work; returns when what runs has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#waiting.clear();
    this.#again.clear();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    if (this.#running.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
  }

  #start(): void {
    for (const key of this.#waiting) {
      if (this.#running.size >= PARALLEL) return;
      this.#waiting.delete(key);
      this.#running.add(key);
      void this.#run(key);
    }
  }

  async #run(key: string): Promise<void> {
    let next: NextLook;
    try {
      next = await this.#work(key);
      this.#failures.delete(key);
    } catch (error) {
      const failures = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, failures);
      this.#onError(key, error);
      next = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures, 10)) * (0.5 + Math.random() / 2);
    }
    this.#running.delete(key);
    if (this.#again.delete(key)) this.add(key);
    else if (next !== undefined && !this.#isStopped) this.#later(key, next);
    this.#start();
    if (this.#running.size === 0) this.#onIdle?.();
  }

  #later(key: string, afterMs: number): void {
    this.#timers.set(
      key,
      setTimeout(() => this.add(key), afterMs),
    );
  }
}
