import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { readEngineStatus } from "./engine-status.ts";
import { LocalError } from "./local-error.ts";
import { isAlive } from "./process-identity.ts";
import { applicationPaths } from "./state-paths.ts";

const POLL_MS = 200;
const READ_BYTES = 64 * 1024;

export interface LogOptions {
  readonly stateDir: string;
  readonly release: string;
  /** Services or instances; all when empty. */
  readonly services: readonly string[];
  readonly follow: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Calls `line` for every line that the services wrote, service by service, then (`follow`) as they come. Throws L-UNKNOWN. */
export async function readLogs(options: LogOptions, line: (instance: string, text: string) => void): Promise<void> {
  const { stateDir, release, services, follow, signal } = options;
  const paths = applicationPaths(stateDir, release);
  const status = readEngineStatus(paths.status);
  if (status === undefined) {
    throw new LocalError("L-UNKNOWN", `no application has the release ${release}`, { remedy: "`vouchsafe ps` lists them." });
  }
  for (const name of services) {
    if (status.instances.some((instance) => instance.name === name || instance.service === name)) continue;
    const known = status.instances.map((instance) => instance.name).join(", ");
    throw new LocalError("L-UNKNOWN", `${release} has no service ${name}`, { remedy: `Its services: ${known}.` });
  }
  const wanted = () =>
    (readEngineStatus(paths.status)?.instances ?? [])
      .filter(({ name, service }) => services.length === 0 || services.includes(name) || services.includes(service))
      .map(({ name }) => name);
  const readers = new Map<string, LogReader>();
  do {
    for (const name of wanted()) {
      let reader = readers.get(name);
      if (reader === undefined) {
        reader = new LogReader(join(paths.logs, `${name}.log`));
        readers.set(name, reader);
      }
      for (const text of reader.read()) line(name, text);
    }
    if (follow && isAlive(status.engine)) await sleep(POLL_MS, undefined, signal === undefined ? {} : { signal }).catch(() => {}); // an abort is the usual end
  } while (follow && signal?.aborted !== true && isAlive(status.engine));
  for (const [name, reader] of readers) for (const text of reader.rest()) line(name, text);
}

/** Reads a file that grows, line by line, and notices when it was set aside and begun anew. */
class LogReader {
  readonly #path: string;
  #inode = 0;
  #offset = 0;
  #partial = "";

  constructor(path: string) {
    this.#path = path;
  }

  read(): string[] {
    const status = statSync(this.#path, { throwIfNoEntry: false });
    if (status === undefined) return [];
    if (status.ino !== this.#inode) {
      this.#inode = status.ino;
      this.#offset = 0;
    }
    const descriptor = openSync(this.#path, "r");
    try {
      const buffer = Buffer.alloc(READ_BYTES);
      for (const size = fstatSync(descriptor).size; this.#offset < size; ) {
        const count = readSync(descriptor, buffer, 0, buffer.length, this.#offset);
        if (count === 0) break;
        this.#offset += count;
        this.#partial += buffer.toString("utf8", 0, count);
      }
    } finally {
      closeSync(descriptor);
    }
    const lines = this.#partial.split("\n");
    this.#partial = lines.pop() ?? "";
    return lines;
  }

  /** What has no line end (yet). */
  rest(): string[] {
    return this.#partial === "" ? [] : [this.#partial];
  }
}
