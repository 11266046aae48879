import { type Kysely, sql } from "kysely";
import { CasError } from "../cas-error.ts";
import type { Commit, LogRow, RowKey, RowStore, SealedRow } from "./row-store.ts";

export interface RecordTable {
  kind: string;
  id: string;
  version: number;
  sealed: Uint8Array;
}

export interface LogTable {
  position: number;
  entry: string;
}

export interface SqlTables {
  record: RecordTable;
  log: LogTable;
}

/** What differs between the databases. */
export interface SqlBackend {
  readonly description: string;
  readonly isReadOnly: boolean;
  /** How many rows one statement may insert, the largest first. Few sizes mean few statements to prepare; one size alone, few trips over a network. */
  readonly rowsPerStatement: readonly number[];
  copyTo(path: string): Promise<void>;
  /** Does this error leave open whether the change is on disk? */
  isSyncFailure(error: unknown): boolean;
  /** Resolves when the store is no longer this CAS's. */
  readonly lost: Promise<CasError>;
  /** After the pool is gone: lock, file. */
  close(): Promise<void>;
}

const SCAN_ROWS = 500;

/** The tables, on any database. Types are the smallest set that SQLite and PostgreSQL both understand, apart from bytes. */
export async function createTables(db: Kysely<SqlTables>, bytesType: "blob" | "bytea"): Promise<void> {
  await db.schema
    .createTable("record")
    .ifNotExists()
    .addColumn("kind", "text", (column) => column.notNull())
    .addColumn("id", "text", (column) => column.notNull())
    .addColumn("version", "bigint", (column) => column.notNull())
    .addColumn("sealed", sql.raw(bytesType), (column) => column.notNull())
    .addPrimaryKeyConstraint("record_key", ["kind", "id"])
    .execute();
  await db.schema
    .createTable("log")
    .ifNotExists()
    .addColumn("position", "bigint", (column) => column.primaryKey())
    .addColumn("entry", "text", (column) => column.notNull())
    .execute();
}

/** Rows and log in two SQL tables. Holds no rules. */
export class SqlRowStore implements RowStore {
  readonly #db: Kysely<SqlTables>;
  readonly #backend: SqlBackend;

  constructor(db: Kysely<SqlTables>, backend: SqlBackend) {
    this.#db = db;
    this.#backend = backend;
  }

  get description(): string {
    return this.#backend.description;
  }

  get isReadOnly(): boolean {
    return this.#backend.isReadOnly;
  }

  get lost(): Promise<CasError> {
    return this.#backend.lost;
  }

  async find({ kind, id }: RowKey): Promise<SealedRow | undefined> {
    const row = await this.#db.selectFrom("record").selectAll().where("kind", "=", kind).where("id", "=", id).executeTakeFirst();
    return row === undefined ? undefined : sealedRow(row);
  }

  async *scan(): AsyncIterable<SealedRow> {
    let after: RowKey | undefined;
    while (true) {
      let query = this.#db.selectFrom("record").selectAll().orderBy("kind").orderBy("id").limit(SCAN_ROWS);
      const last = after;
      if (last !== undefined) {
        // As one comparison of pairs: with an "or" SQLite reads the whole table for each page.
        query = query.where(({ eb, refTuple, tuple }) => eb(refTuple("kind", "id"), ">", tuple(last.kind, last.id)));
      }
      const rows = await query.execute();
      yield* rows.map(sealedRow);
      if (rows.length < SCAN_ROWS) return;
      after = rows.at(-1);
    }
  }

  async readLog(from: number, limit: number): Promise<readonly LogRow[]> {
    const rows = await this.#db.selectFrom("log").selectAll().where("position", ">=", from).orderBy("position").limit(limit).execute();
    return rows.map(({ position, entry }) => ({ index: Number(position), entry }));
  }

  async commit({ state, puts, deletes, log }: Commit): Promise<void> {
    try {
      await this.#db.transaction().execute(async (tx) => {
        if (state.version === 1) await tx.insertInto("record").values(recordRow(state)).execute();
        else {
          const { numUpdatedRows } = await tx
            .updateTable("record")
            .set({ version: state.version, sealed: Buffer.from(state.sealed) })
            .where("kind", "=", state.kind)
            .where("id", "=", state.id)
            .where("version", "=", state.version - 1)
            .executeTakeFirstOrThrow();
          if (numUpdatedRows !== 1n) throw new CasError("STORE_LOCKED", "another CAS has changed the database meanwhile");
        }
        for (const rows of chunks(puts, this.#backend.rowsPerStatement)) {
          await tx
            .insertInto("record")
            .values(rows.map(recordRow))
            .onConflict((conflict) =>
              conflict
                .columns(["kind", "id"])
                .doUpdateSet(({ ref }) => ({ version: ref("excluded.version"), sealed: ref("excluded.sealed") })),
            )
            .execute();
        }
        for (const { kind, id } of deletes) await tx.deleteFrom("record").where("kind", "=", kind).where("id", "=", id).execute();
        for (const rows of chunks(log, this.#backend.rowsPerStatement)) {
          await tx
            .insertInto("log")
            .values(rows.map(({ index, entry }) => ({ position: index, entry })))
            .execute();
        }
      });
    } catch (cause) {
      if (cause instanceof CasError) throw cause;
      if (this.#backend.isSyncFailure(cause)) throw brokenStore(cause);
      const remedy = "Look at disk space, permissions and the database's own log; nothing of the change was kept.";
      throw new CasError("STORE_FAILED", `the database refused a change: ${cause instanceof Error ? cause.message : "unknown reason"}`, {
        remedy,
        cause,
      });
    }
  }

  copyTo(path: string): Promise<void> {
    return this.#backend.copyTo(path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#db.destroy();
    await this.#backend.close();
  }
}

function brokenStore(cause: unknown): CasError {
  const reason = cause instanceof Error ? cause.message : "unknown reason";
  return new CasError(
    "STORE_BROKEN",
    `the disk failed in the middle of a change (${reason}): whether it was kept is known after a restart`,
    {
      remedy: "Repair the disk and start the CAS again: it will read what the database really has.",
      cause,
    },
  );
}

/** PostgreSQL returns bigint as text and bytes as Buffer. */
function sealedRow({ kind, id, version, sealed }: RecordTable): SealedRow {
  return { kind, id, version: Number(version), sealed };
}

function recordRow({ kind, id, version, sealed }: SealedRow): RecordTable {
  return { kind, id, version, sealed: Buffer.from(sealed.buffer, sealed.byteOffset, sealed.length) };
}

function* chunks<T>(items: readonly T[], sizes: readonly number[]): Iterable<readonly T[]> {
  for (let at = 0; at < items.length; ) {
    const left = items.length - at;
    const size = sizes.find((each) => each <= left) ?? left;
    yield items.slice(at, at + size);
    at += size;
  }
}
