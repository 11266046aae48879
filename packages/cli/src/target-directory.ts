import { existsSync } from "node:fs";
import { mkdir, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CliError } from "./cli-error.ts";

const WAIT_MS = 60_000;
const POLL_MS = 200;

/** The directory of results, held by one run at a time (CL-29). */
export class TargetDirectory {
  readonly path: string;
  private constructor(path: string) {
    this.path = path;
  }
  /** Waits for another run to end. Throws E-TARGET-WRITE, E-TARGET-LOCKED. */
  static async open(path: string, waitMs = WAIT_MS): Promise<TargetDirectory> {
    const lock = join(path, ".lock");
    const deadline = Date.now() + waitMs;
    for (;;) {
      try {
        await mkdir(path, { recursive: true });
        const handle = await open(lock, "wx", 0o600);
        await handle.writeFile(String(process.pid));
        await handle.close();
        return new TargetDirectory(path);
      } catch (error) {
        // Only the lock may exist already; by the time this is read it may be gone again. `mkdir` says the same of a file in its place.
        if (!(error instanceof Error && "code" in error && error.code === "EEXIST" && "syscall" in error && error.syscall === "open")) {
          throw new CliError("E-TARGET-WRITE", `the target directory ${path} cannot be written`, {
            cause: error,
            remedy: "Choose another one with -t, or make it writable.",
          });
        }
      }
      const holder = Number(await readFile(lock, "utf8").catch(() => "")); // it may be gone by now
      if (Number.isInteger(holder) && holder > 0 && !isAlive(holder)) await rm(lock, { force: true });
      else if (Date.now() >= deadline) {
        throw new CliError("E-TARGET-LOCKED", `another run (process ${holder}) works in ${path}`, {
          remedy: "Wait for it to end, or choose another directory with -t.",
        });
      } else await sleep(POLL_MS);
    }
  }
  file(...parts: string[]): string {
    return join(this.path, ...parts);
  }
  async read(...parts: string[]): Promise<string | undefined> {
    return readFile(this.file(...parts), "utf8").catch(() => undefined); // absent is an answer
  }
  /** Writes beside and renames, so that no reader sees half a file. */
  async write(path: string, text: string, mode = 0o644): Promise<void> {
    const file = this.file(path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(`${file}.new`, text, { mode });
    await rename(`${file}.new`, file);
  }
  /** Replaces a whole directory: the former one stays until the new one is complete (CL-28). */
  async replace(path: string, files: ReadonlyMap<string, string>, mode = 0o644): Promise<void> {
    const fresh = `${path}.new`;
    await rm(this.file(fresh), { recursive: true, force: true });
    await mkdir(this.file(fresh), { recursive: true });
    for (const [name, text] of files) await this.write(join(fresh, name), text, mode);
    await rm(this.file(`${path}.old`), { recursive: true, force: true });
    if (existsSync(this.file(path))) await rename(this.file(path), this.file(`${path}.old`));
    await rename(this.file(fresh), this.file(path));
    await rm(this.file(`${path}.old`), { recursive: true, force: true });
  }
  async remove(path: string): Promise<void> {
    await rm(this.file(path), { recursive: true, force: true });
  }
  /** Lets the next run in. Closing twice is harmless. */
  async close(): Promise<void> {
    await rm(this.file(".lock"), { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM"; // alive, but somebody else's
  }
}
