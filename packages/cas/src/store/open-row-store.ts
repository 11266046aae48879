import { openPostgresRowStore, type PostgresOptions } from "./postgres-row-store.ts";
import type { RowStore } from "./row-store.ts";
import { openSqliteRowStore } from "./sqlite-row-store.ts";

export interface StoreOptions {
  /** SQLite file; with `postgres` it only names the key store. */
  readonly databasePath: string;
  readonly postgres?: PostgresOptions | undefined;
}

/** The database that the operator configured. Throws CasError. */
export function openRowStore({ databasePath, postgres }: StoreOptions): Promise<RowStore> {
  return postgres === undefined ? openSqliteRowStore(databasePath) : openPostgresRowStore(postgres);
}
