import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import { CasError } from "../cas-error.ts";
import type { RowStore } from "./row-store.ts";
import { createTables, SqlRowStore, type SqlTables } from "./sql-row-store.ts";

/** Names the lock among all users of the database server. */
const LOCK_ID = 7_311_846_502;
const CONNECTIONS = 4;
const CONNECT_TIMEOUT_MS = 5_000;

export interface PostgresOptions {
  /** `postgres://…`, or a directory with the server's socket. */
  readonly connection: pg.PoolConfig;
  /** Schema that this CAS has for itself. */
  readonly schema?: string | undefined;
}

/**
 * Opens the shared database (C-2): one CAS is active and holds an advisory lock; others wait until they can have it and then go on with the same
 * rows. Should the lock ever fail, the state row still lets only one of two writers commit. Throws STORE_LOCKED, STORE_FAILED.
 */
export async function openPostgresRowStore({ connection, schema = "cas" }: PostgresOptions): Promise<RowStore> {
  if (!/^[a-z_][a-z0-9_]{0,40}$/.test(schema))
    throw new CasError("CONFIGURATION", `${JSON.stringify(schema)} is no plain name of a schema`);
  const settings = {
    ...connection,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    options: `-c search_path=${schema} -c synchronous_commit=on`,
  };
  const holder = new pg.Client(settings);
  const { promise: lost, resolve: tellLost } = Promise.withResolvers<CasError>();
  let isClosing = false;
  holder.on("error", () => {}); // "end" follows
  holder.on("end", () => {
    if (isClosing) return;
    const remedy = "Start the CAS again when PostgreSQL can be reached.";
    tellLost(
      new CasError("STORE_LOCKED", "the connection that holds the lock of the database is lost: another CAS may work on it", { remedy }),
    );
  });
  try {
    await holder.connect();
    await holder.query(`CREATE SCHEMA IF NOT EXISTS ${schema}`);
    const { rows } = await holder.query<{ locked: boolean }>("SELECT pg_try_advisory_lock($1::bigint # hashtext($2)::bigint) AS locked", [
      LOCK_ID,
      schema,
    ]);
    if (rows[0]?.locked !== true) {
      throw new CasError("STORE_LOCKED", `another CAS works on the schema ${schema}`, {
        remedy: "Wait until it stops, or use another schema.",
      });
    }
  } catch (cause) {
    isClosing = true;
    await holder.end().catch(() => {}); // it may never have been connected
    if (cause instanceof CasError) throw cause;
    const message = cause instanceof Error ? cause.message : "unknown reason";
    throw new CasError("STORE_FAILED", `cannot open the database: ${message}`, {
      remedy: "Check address, user and password of PostgreSQL.",
      cause,
    });
  }
  const pool = new pg.Pool({ ...settings, max: CONNECTIONS });
  pool.on("error", () => {}); // an idle connection that is lost is replaced at its next use
  const db = new Kysely<SqlTables>({ dialect: new PostgresDialect({ pool }) });
  await createTables(db, "bytea");
  return new SqlRowStore(db, {
    description: `postgresql schema ${schema}`,
    isReadOnly: false,
    rowsPerStatement: [500],
    copyTo: () => Promise.reject(new CasError("STORE_FAILED", "snapshots of PostgreSQL are made with its own tools")),
    isSyncFailure: () => false, // its server knows: see what a commit meets next
    lost,
    close: () => {
      isClosing = true;
      return holder.end();
    },
  });
}
