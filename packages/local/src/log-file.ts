import { closeSync, fstatSync, openSync, renameSync, writeSync } from "node:fs";

const LOG_MAX_BYTES = 8 * 1024 * 1024;

/** Output of one service. Past 8 MiB the file is set aside as `.1`, replacing an older one, so a chatty program cannot fill the disk. */
export class LogFile implements Disposable {
  readonly #path: string;
  #descriptor: number;
  #bytes: number;

  constructor(path: string) {
    this.#path = path;
    this.#descriptor = openSync(path, "a", 0o600);
    this.#bytes = fstatSync(this.#descriptor).size;
  }

  write(chunk: string | Uint8Array): void {
    const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    if (this.#bytes > 0 && this.#bytes + bytes.length > LOG_MAX_BYTES) {
      closeSync(this.#descriptor);
      renameSync(this.#path, `${this.#path}.1`);
      this.#descriptor = openSync(this.#path, "a", 0o600);
      this.#bytes = 0;
    }
    writeSync(this.#descriptor, bytes);
    this.#bytes += bytes.length;
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }
}
