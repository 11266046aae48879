import { type SpawnOptions, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";

export interface CliResult {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A directory of its own for one test: current directory, home and state. */
export class CliWorkplace implements Disposable {
  readonly directory: string;
  readonly environment: Record<string, string>;
  constructor(files: Readonly<Record<string, string>> = {}) {
    this.directory = mkdtempSync(join(tmpdir(), "vouchsafe-cli-"));
    const { PATH = "" } = process.env;
    this.environment = {
      PATH,
      HOME: this.directory,
      XDG_STATE_HOME: join(this.directory, "state"),
      XDG_CACHE_HOME: join(this.directory, "cache"),
      // Compiled code is the same for all tests.
      NODE_COMPILE_CACHE: join(import.meta.dirname, "..", "..", "..", "..", ".cache", "compiled"),
    };
    for (const [name, content] of Object.entries(files)) this.write(name, content);
  }
  write(name: string, content: string): void {
    writeFileSync(join(this.directory, name), content);
  }
  path(...parts: string[]): string {
    return join(this.directory, ...parts);
  }
  /** Runs the program under one of its names. */
  async run(
    program: string,
    argv: readonly string[],
    more: { environment?: Record<string, string | undefined>; input?: string } = {},
  ): Promise<CliResult> {
    const environment = Object.fromEntries(
      Object.entries({ ...this.environment, ...more.environment }).filter(([, value]) => value !== undefined),
    );
    const options: SpawnOptions = { cwd: this.directory, env: environment, stdio: ["pipe", "pipe", "pipe"] };
    const child = spawn(join(import.meta.dirname, "..", "..", "bin", program), argv, options);
    child.stdin?.end(more.input ?? "");
    const [out, err, code] = await Promise.all([
      child.stdout === null ? "" : text(child.stdout),
      child.stderr === null ? "" : text(child.stderr),
      new Promise<number | null>((resolve) => child.once("close", resolve)),
    ]);
    return { code, out, err };
  }
  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
