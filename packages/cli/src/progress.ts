import type { Shell } from "./shell.ts";

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const FRAME_MS = 120;

/** Steps with elapsed time on standard error: a spinner on a terminal, one line for each finished step elsewhere (CL-34). */
export class Progress {
  readonly #shell: Shell;
  readonly #level: number;
  readonly #spins: boolean;
  #timer: NodeJS.Timeout | undefined;
  readonly #running = new Map<string, number>();
  #frame = 0;
  /** `level`: count of `-v` less count of `-q`; the step names are shown from 0 on. */
  constructor(shell: Shell, level: number) {
    this.#shell = shell;
    this.#level = level;
    this.#spins = shell.isTerminal && level === 0;
  }
  start(step: string): void {
    this.#running.set(step, performance.now());
    if (!this.#spins) {
      if (this.#level >= 1) this.#shell.note(`${step} ...`);
      return;
    }
    this.#timer ??= setInterval(() => this.#draw(), FRAME_MS).unref();
    this.#draw();
  }
  /** `detail`: e.g. `unchanged`. */
  done(step: string, detail?: string): void {
    const started = this.#running.get(step);
    this.#running.delete(step);
    this.#clear();
    if (this.#level < 0) return;
    const [blue, reset] = this.#shell.colour ? ["\u001b[34m", "\u001b[0m"] : ["", ""];
    const elapsed = started === undefined ? "" : ` (${seconds(performance.now() - started)})`;
    this.#shell.note(`${blue}${step}${reset}${detail === undefined ? "" : `: ${detail}`}${elapsed}`);
  }
  /** A line of detail, from `level` on. */
  detail(level: number, text: string): void {
    if (this.#level < level) return;
    this.#clear();
    this.#shell.note(text);
  }
  /** Runs a step; it counts as done only if it does not throw. */
  async run<T>(step: string, action: () => Promise<T>, detail?: (result: T) => string | undefined): Promise<T> {
    this.start(step);
    const result = await action();
    this.done(step, detail?.(result));
    return result;
  }
  end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#clear();
  }
  #clear(): void {
    if (this.#spins) process.stderr.write("\r\u001b[K");
  }
  #draw(): void {
    const [latest] = [...this.#running].toReversed();
    if (latest === undefined) return;
    const [step, started] = latest;
    this.#frame = (this.#frame + 1) % FRAMES.length;
    process.stderr.write(`\r\u001b[K${FRAMES[this.#frame]} ${step} (${seconds(performance.now() - started)})`);
  }
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
