import type { Database } from "../database/database.ts";
import type { DatabaseState } from "../database/database-state.ts";
import type { Log } from "../log-line.ts";
import type { AnchorFile } from "./anchor-file.ts";

/** Whether the database is the newest one there was (C-5). */
export class Freshness {
  readonly #anchor: AnchorFile;
  readonly #database: Database;
  readonly #log: Log;
  #suspicion: string | undefined;
  #isBehind = false;

  /** Compares, and follows every commit from now on unless there is a suspicion. */
  constructor(database: Database, anchor: AnchorFile, log: Log) {
    this.#database = database;
    this.#anchor = anchor;
    this.#log = log;
    this.#suspicion = compare(database.state, anchor);
    if (this.#suspicion === undefined) this.#follow();
  }

  /** Why the database may be an old one; undefined when no anchor is ahead of it. */
  get suspicion(): string | undefined {
    return this.#suspicion;
  }

  /** The owner accepts the loss. Returns what was lost, for the audit log and the owner. */
  accept(): string {
    const lost = this.#suspicion ?? "nothing";
    this.#suspicion = undefined;
    this.#follow();
    return lost;
  }

  /** The database is sealed under another key now (C-79). */
  replaceKey(databaseKey: Uint8Array): void {
    this.#anchor.replaceKey(databaseKey);
    if (this.#suspicion === undefined) this.#note(() => this.#anchor.reset(this.#database.state));
  }

  #follow(): void {
    if (this.#database.isReadOnly) return;
    this.#note(() => this.#anchor.reset(this.#database.state));
    this.#database.onCommitted = (state) => this.#note(() => this.#anchor.write(state));
  }

  /** The commit is in force whatever becomes of the anchor; one that is behind protects less, which the operator must hear once. */
  #note(write: () => void): void {
    try {
      write();
      this.#isBehind = false;
    } catch (error) {
      if (this.#isBehind) return;
      this.#isBehind = true;
      const reason = error instanceof Error ? error.message : "unknown reason";
      this.#log.error(
        `the anchor ${this.#anchor.path} cannot be written (${reason}): a database put back to before now would not be noticed`,
      );
    }
  }
}

function compare(state: DatabaseState, anchor: AnchorFile): string | undefined {
  const reading = anchor.read();
  const here = `the database ends at commit ${state.commit} and log entry ${state.logSize}`;
  switch (reading.kind) {
    case "absent":
      return state.commit === 0 ? undefined : `the anchor ${anchor.path} is missing; ${here}`;
    case "damaged":
      return `the anchor ${anchor.path} is damaged or belongs to another database; ${here}`;
    case "position": {
      const { commit, logSize, logRoot } = reading.position;
      if (commit > state.commit) return `the anchor ${anchor.path} has seen commit ${commit} and log entry ${logSize}; ${here}`;
      if (commit === state.commit && (logSize !== state.logSize || logRoot !== state.logRoot)) {
        return `the anchor ${anchor.path} has seen another commit ${commit}; ${here}`;
      }
      return undefined;
    }
    default:
      return reading satisfies never;
  }
}
