import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import type { Database } from "../database/database.ts";

export interface SnapshotOptions {
  readonly directory: string;
  readonly intervalMs: number;
  readonly databasePath: string;
  readonly keyStorePath: string;
  readonly now: () => Date;
  /** A snapshot failed: the CAS stops (C-77). */
  readonly onFailure: (error: unknown) => void;
}

/** Older ones are removed: a disk that is full of them would stop the CAS. */
export const SNAPSHOTS_KEPT = 24;
/** Time of a snapshot, with hyphens for the colons, and the commit it is of. */
const NAME = /^(\d{4}-\d{2}-\d{2})T(\d{2})-(\d{2})-(\d{2}\.\d{3}Z)-\d+$/;

/** Consistent pairs of database and key store for disaster recovery (C-77): at each interval if something changed, and on demand. */
export class Snapshots implements Disposable {
  readonly #database: Database;
  readonly #options: SnapshotOptions;
  readonly #timer: NodeJS.Timeout;
  #lastCommit = -1;
  #newest: string | null;
  #running: Promise<unknown> = Promise.resolve();

  constructor(database: Database, options: SnapshotOptions) {
    this.#database = database;
    this.#options = options;
    this.#newest = timeOf(this.#complete().at(-1));
    this.#timer = setInterval(() => {
      if (database.state.commit !== this.#lastCommit) this.take().catch(options.onFailure);
    }, options.intervalMs).unref();
  }

  /** Takes one now; returns its directory. A crash leaves a directory whose name ends in `.part`. */
  take(): Promise<string> {
    const next = this.#running.then(() => this.#take());
    this.#running = next.catch(() => {}); // told to whoever asked for it
    return next;
  }

  /** Takes none while `work` changes database and key store: a snapshot is a pair that belongs together. */
  without<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#running.then(work);
    this.#running = done.catch(() => {}); // told to whoever asked for it
    return done;
  }

  /** When the newest one was taken (ISO 8601), by this process or one before; null while there is none. */
  get newest(): string | null {
    return this.#newest;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  async #take(): Promise<string> {
    const { directory, databasePath, keyStorePath, now } = this.#options;
    const { commit } = this.#database.state;
    const target = join(directory, `${now().toISOString().replaceAll(":", "-")}-${commit}`);
    if (existsSync(target)) return target;
    const part = `${target}.part`;
    mkdirSync(part, { recursive: true, mode: 0o700 });
    await this.#database.copyTo(join(part, basename(databasePath)));
    copyFileSync(keyStorePath, join(part, basename(keyStorePath)));
    renameSync(part, target);
    this.#lastCommit = commit;
    const complete = this.#complete();
    this.#newest = timeOf(complete.at(-1));
    for (const name of complete.slice(0, -SNAPSHOTS_KEPT)) rmSync(join(directory, name), { recursive: true, force: true });
    return target;
  }

  /** Names begin with the time: the newest comes last. */
  #complete(): readonly string[] {
    const { directory } = this.#options;
    return existsSync(directory)
      ? readdirSync(directory)
          .filter((name) => NAME.test(name))
          .toSorted()
      : [];
  }
}

function timeOf(name: string | undefined): string | null {
  const [, day, hour, minute, second] = NAME.exec(name ?? "") ?? [];
  return day === undefined ? null : `${day}T${hour}:${minute}:${second}`;
}
