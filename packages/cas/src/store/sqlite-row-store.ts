import { accessSync, chmodSync, constants, existsSync, statSync } from "node:fs";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { Kysely, type SqliteDatabase, SqliteDialect } from "kysely";
import { CasError } from "../cas-error.ts";
import type { RowStore } from "./row-store.ts";
import { createTables, SqlRowStore, type SqlTables } from "./sql-row-store.ts";

/** Earlier versions can lose a committed transaction when a checkpoint races a writer. */
const OLDEST_SQLITE = [3, 51, 3] as const;
const STATEMENTS_KEPT = 64;
/** SQLITE_IOERR_FSYNC, _DIR_FSYNC: the kernel may have dropped what it could not write, and say yes the next time (hazard E4). */
const SYNC_FAILURES: ReadonlySet<unknown> = new Set([1034, 1290]);

/**
 * Opens or makes the embedded database: WAL, synchronous=FULL, locked against every other process for as long as this one lives (the lock is
 * the kernel's and dies with the process). Throws STORE_LOCKED, STORE_TAMPERED (integrity check), STORE_FAILED.
 */
export async function openSqliteRowStore(path: string): Promise<RowStore> {
  assertSqliteVersion(process.versions["sqlite"] ?? "unknown");
  const isReadOnly = existsSync(path) && !isWritable(path);
  let database: DatabaseSync | undefined;
  try {
    database = isReadOnly ? openReadOnly(path) : new DatabaseSync(path, { timeout: 0 });
    if (!isReadOnly) {
      chmodSync(path, 0o600);
      database.exec(
        "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON; PRAGMA wal_autocheckpoint=4000",
      );
      database.exec("PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; BEGIN IMMEDIATE; COMMIT");
    }
    const check = database.prepare("PRAGMA integrity_check(3)").all();
    const [first] = check;
    if (check.length !== 1 || first?.["integrity_check"] !== "ok") {
      throw new CasError("STORE_TAMPERED", `the database ${path} is damaged: ${JSON.stringify(first)}`, {
        remedy: "Restore the last snapshot, then confirm the loss with: vouchsafe cas accept-rollback.",
      });
    }
  } catch (cause) {
    database?.close();
    throw openError(path, cause);
  }
  const opened = database;
  const db = new Kysely<SqlTables>({ dialect: new SqliteDialect({ database: adapt(opened) }) });
  if (!isReadOnly) await createTables(db, "blob");
  return new SqlRowStore(db, {
    description: `sqlite ${path}`,
    isReadOnly,
    rowsPerStatement: [64, 8, 1],
    copyTo: async (target) => {
      opened.prepare("VACUUM INTO ?").run(target);
    },
    isSyncFailure: (error) => error instanceof Error && "errcode" in error && SYNC_FAILURES.has(error.errcode),
    lost: Promise.withResolvers<CasError>().promise, // the lock is the kernel's and ends with the process
    close: async () => {},
  });
}

/**
 * SQLite wants to write beside a database that it reads. Where it cannot, the file is opened as one that nobody changes, unless a journal has
 * commits that are not merged yet: those would be missing.
 */
function openReadOnly(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { readOnly: true, timeout: 0 });
  try {
    database.prepare("SELECT count(*) FROM sqlite_schema").all();
    return database;
  } catch (cause) {
    database.close();
    if ((statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0) {
      throw new CasError("STORE_FAILED", `the database ${path} has commits in its journal, which cannot be merged without writing`, {
        remedy: "Start the CAS once where it may write.",
        cause,
      });
    }
    const url = pathToFileURL(path);
    url.searchParams.set("immutable", "1");
    return new DatabaseSync(url, { readOnly: true, timeout: 0 });
  }
}

/** Kysely speaks the interface of better-sqlite3; statements are prepared once. */
function adapt(database: DatabaseSync): SqliteDatabase {
  const prepared = new Map<string, ReturnType<SqliteDatabase["prepare"]>>();
  return {
    close: () => database.close(),
    prepare: (text) => {
      const known = prepared.get(text);
      if (known !== undefined) return known;
      const statement = database.prepare(text);
      // kysely's parameters are what its query builder was given: our table types allow text, numbers and bytes only
      const values = (parameters: readonly unknown[]) => parameters as SQLInputValue[];
      const adapted = {
        reader: statement.columns().length > 0,
        all: (parameters: readonly unknown[]) => statement.all(...values(parameters)),
        run: (parameters: readonly unknown[]) => {
          // A commit that fails ends its transaction itself; a rollback after it would hide why it failed.
          if (text === "rollback" && !database.isTransaction) return { changes: 0, lastInsertRowid: 0 };
          return statement.run(...values(parameters));
        },
        iterate: (parameters: readonly unknown[]) => statement.iterate(...values(parameters)),
      };
      if (prepared.size >= STATEMENTS_KEPT) prepared.clear();
      prepared.set(text, adapted);
      return adapted;
    },
  };
}

/** Throws STORE_FAILED for a version that can lose commits. */
export function assertSqliteVersion(found: string): void {
  const parts = found.split(".").map(Number);
  for (const [position, oldest] of OLDEST_SQLITE.entries()) {
    const part = parts[position] ?? 0;
    if (part > oldest) return;
    if (part < oldest) {
      throw new CasError("STORE_FAILED", `SQLite ${found} can lose committed writes, expected ${OLDEST_SQLITE.join(".")} or newer`, {
        remedy: "Run the CAS with the Node version that its package names.",
      });
    }
  }
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false; // any reason not to write is reason enough to open it for reading only
  }
}

function openError(path: string, cause: unknown): CasError {
  if (cause instanceof CasError) return cause;
  const message = cause instanceof Error ? cause.message : "unknown reason";
  if (/locked|busy/i.test(message)) {
    const remedy = "Stop the other CAS, or give this one a database of its own.";
    return new CasError("STORE_LOCKED", `another process uses the database ${path}`, { remedy, cause });
  }
  if (/malformed|not a database|corrupt/i.test(message)) {
    const remedy = "Restore the last snapshot, then confirm the loss with: vouchsafe cas accept-rollback.";
    return new CasError("STORE_TAMPERED", `the database ${path} is damaged: ${message}`, { remedy, cause });
  }
  const remedy = "Check that the directory exists and may be written.";
  return new CasError("STORE_FAILED", `cannot open the database ${path}: ${message}`, { remedy, cause });
}
