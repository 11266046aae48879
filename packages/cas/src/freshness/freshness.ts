import type { Database } from "../database/database.ts";
import type { DatabaseState } from "../database/database-state.ts";
import type { AnchorFile } from "./anchor-file.ts";

/** Whether the database is the newest one there was (C-5). */
export class Freshness {
  readonly #anchor: AnchorFile;
  readonly #database: Database;
  #suspicion: string | undefined;

  /** Compares, and follows every commit from now on unless there is a suspicion. */
  constructor(database: Database, anchor: AnchorFile) {
    this.#database = database;
    this.#anchor = anchor;
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

  #follow(): void {
    this.#anchor.write(this.#database.state);
    this.#database.onCommitted = (state) => this.#anchor.write(state);
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
