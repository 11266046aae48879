import { closeSync, fstatSync, fsyncSync, ftruncateSync, mkdirSync, openSync, readSync, statSync, writeSync } from "node:fs";
import { request } from "node:https";
import { dirname } from "node:path";
import { ApiError } from "../cas-error.ts";
import type { OwnerConfig } from "../config/owner-config.ts";
import type { LogSink } from "../database/database.ts";

const POST_TIMEOUT_MS = 5_000;

/** A sink for entries and, beside them, checkpoints. */
export interface AuditSink extends LogSink, Disposable {
  /** One more line that is no entry. */
  note(line: string): Promise<void>;
  /** Whether somebody moved away what was written so far (C-88): the next lines belong elsewhere once `reopen` was called. */
  readonly isRotated: boolean;
  reopen(): void;
}

/** The sink that the owner configured; undefined when the audit log is off. */
export function openAuditSink({ auditLog }: OwnerConfig, path: string): AuditSink | undefined {
  if (auditLog.mode === "disabled") return undefined;
  if (auditLog.sink === "file") return new FileSink(path);
  if (auditLog.url === undefined) throw new TypeError("the configuration was checked: sink network has a url");
  return new NetworkSink(auditLog.url, auditLog.serverCa);
}

/** Lines in a file, on disk before the change they tell of. What was written in part is taken back: the file never has half a line. */
class FileSink implements AuditSink {
  readonly #path: string;
  #file: number;
  /** Where the last whole line ends. */
  #size: number;

  constructor(path: string) {
    this.#path = path;
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    ({ file: this.#file, size: this.#size } = openAtLastLine(path));
  }

  get isRotated(): boolean {
    const there = statSync(this.#path, { throwIfNoEntry: false });
    const own = fstatSync(this.#file);
    return there?.ino !== own.ino || there.dev !== own.dev;
  }

  reopen(): void {
    try {
      const { file, size } = openAtLastLine(this.#path);
      closeSync(this.#file);
      this.#file = file;
      this.#size = size;
    } catch (error) {
      throw unavailable(error);
    }
  }

  async accept(entries: readonly string[]): Promise<void> {
    this.#write(entries);
  }

  async note(line: string): Promise<void> {
    this.#write([line]);
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }

  #write(lines: readonly string[]): void {
    const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(""));
    try {
      for (let written = 0; written < bytes.length; ) written += writeSync(this.#file, bytes, written);
      fsyncSync(this.#file);
      this.#size += bytes.length;
    } catch (error) {
      ftruncateSync(this.#file, this.#size);
      throw unavailable(error);
    }
  }
}

/** A power cut in the middle of a line: its change was never committed. */
function openAtLastLine(path: string): { readonly file: number; readonly size: number } {
  const file = openSync(path, "a+", 0o644);
  const size = endOfLastLine(file);
  if (size !== fstatSync(file).size) ftruncateSync(file, size);
  const folder = openSync(dirname(path), "r"); // a file without a name is lost with the power
  fsyncSync(folder);
  closeSync(folder);
  return { file, size };
}

function endOfLastLine(file: number): number {
  const { size } = fstatSync(file);
  const block = Buffer.alloc(64 * 1024);
  for (let end = size; end > 0; ) {
    const from = Math.max(0, end - block.length);
    const length = readSync(file, block, 0, end - from, from);
    const at = block.subarray(0, length).lastIndexOf("\n");
    if (at >= 0) return from + at + 1;
    end = from;
  }
  return 0;
}

/** One POST for each line; the server's 2xx is its promise to keep it. */
class NetworkSink implements AuditSink {
  readonly isRotated = false;
  readonly #url: string;
  readonly #ca: string | undefined;

  constructor(url: string, ca: string | undefined) {
    this.#url = url;
    this.#ca = ca;
  }

  async accept(entries: readonly string[]): Promise<void> {
    for (const entry of entries) await this.#post(entry);
  }

  note(line: string): Promise<void> {
    return this.#post(line);
  }

  reopen(): void {}

  [Symbol.dispose](): void {}

  #post(line: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const options = { method: "POST", headers: { "content-type": "application/json" }, timeout: POST_TIMEOUT_MS };
    const outgoing = request(this.#url, this.#ca === undefined ? options : { ...options, ca: this.#ca }, (response) => {
      response.resume();
      const status = response.statusCode ?? 0;
      if (status >= 200 && status < 300) resolve();
      else reject(unavailable(new Error(`the log server answered ${status}`)));
    });
    outgoing.on("timeout", () => outgoing.destroy(new Error("timed out")));
    outgoing.on("error", (error) => reject(unavailable(error)));
    outgoing.end(`${line}\n`);
    return promise;
  }
}

function unavailable(error: unknown): ApiError {
  const reason = error instanceof Error ? error.message : "unknown reason";
  return new ApiError("audit_unavailable", `the audit log cannot be written (${reason}); nothing was changed`);
}
