import type { CasError } from "../cas-error.ts";

/**
 * What a database must offer. Rows are sealed and the log is plain text: the database is not trusted with either, it only keeps them.
 * There is one writer at a time; the state row, which every commit replaces, makes sure of it.
 */

/** Reads committed or pending values. */
export interface Reader {
  get<T>(key: RowKey): Promise<T | undefined>;
}

/** One sealed value under its name. */
export interface SealedRow {
  readonly kind: string;
  readonly id: string;
  /** From 1, one more with each commit that changed the row. */
  readonly version: number;
  readonly sealed: Uint8Array;
}

export interface RowKey {
  readonly kind: string;
  readonly id: string;
}

/** An entry of the transparency log, in the order of the log. */
export interface LogRow {
  readonly index: number;
  readonly entry: string;
}

export interface Commit {
  /** Compare and swap: fails unless the state row has the version before this one (none for version 1). */
  readonly state: SealedRow;
  readonly puts: readonly SealedRow[];
  readonly deletes: readonly RowKey[];
  readonly log: readonly LogRow[];
}

export interface RowStore extends AsyncDisposable {
  /** `sqlite` or `postgresql`, with what the reader of a health report wants to know. */
  readonly description: string;
  readonly isReadOnly: boolean;
  /** Resolves, if ever, when the store stops being this CAS's: another one may write it. */
  readonly lost: Promise<CasError>;
  find(key: RowKey): Promise<SealedRow | undefined>;
  /** Every row once, in no particular order. */
  scan(): AsyncIterable<SealedRow>;
  /** Rows of the log from index `from`, in order. */
  readLog(from: number, limit: number): Promise<readonly LogRow[]>;
  /** All or nothing, and durable when it returns. Throws STORE_FAILED, STORE_LOCKED (another writer was faster), STORE_BROKEN. */
  commit(commit: Commit): Promise<void>;
  /** Writes a consistent copy to a new file. Only where the database is a file. */
  copyTo(path: string): Promise<void>;
}

export const STATE_KEY: RowKey = { kind: "state", id: "state" };
