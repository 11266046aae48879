import { CasError } from "../cas-error.ts";
import type { RowSeal } from "../store/row-seal.ts";
import { type LogRow, type RowKey, type RowStore, type SealedRow, STATE_KEY } from "../store/row-store.ts";
import { AuditTree } from "./audit-tree.ts";
import { DatabaseState, EMPTY_STATE, MODULUS } from "./database-state.ts";
import { NeedsOutside, Transaction } from "./transaction.ts";
import { ValueCache } from "./value-cache.ts";

/** Takes the entries of a commit before the database does (C-84). Throws when it cannot: then nothing is committed. */
export interface LogSink {
  accept(entries: readonly string[]): Promise<void>;
}

interface IndexEntry {
  readonly version: number;
  readonly digest: bigint;
}

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** What transactions have written and the database has not confirmed yet. */
interface Group {
  readonly writes: Map<string, { readonly key: RowKey; readonly value: unknown }>;
  readonly log: string[];
  readonly waiting: Waiting[];
}

const LOG_PAGE = 1000;
const LOG_HEAD_MAX = 10_000;
/** Each run may need one answer from outside. */
const RUNS_MAX = 100;
const name = ({ kind, id }: RowKey): string => `${kind}\0${id}`;
const newGroup = (): Group => ({ writes: new Map(), log: [], waiting: [] });

/**
 * Sealed values by kind and id, one writer, and the log that grows with them. Transactions run one after the other on what their predecessors
 * wrote; all that are ready when the disk is free are made durable together (group commit), and only then acknowledged.
 */
export class Database {
  readonly #store: RowStore;
  #seal: RowSeal;
  readonly #index = new Map<string, IndexEntry>();
  readonly #ids = new Map<string, Set<string>>();
  readonly #cache = new ValueCache();
  readonly #tree = new AuditTree();
  #state: DatabaseState;
  #sink: LogSink | undefined;
  #pending = newGroup();
  #committing: Group | undefined;
  #flushing: Promise<void> | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #failure: CasError | undefined;
  /** Transactions wait for each other when a commit would get more entries of the log than this. */
  maxEntriesPerCommit = Number.POSITIVE_INFINITY;
  /** Called after each durable commit, before anybody hears of it. */
  onCommitted: ((state: DatabaseState) => void) | undefined;

  private constructor(store: RowStore, seal: RowSeal, state: DatabaseState) {
    this.#store = store;
    this.#seal = seal;
    this.#state = state;
  }

  /** Reads and verifies everything: each row's place in the digest, each entry's place in the log. Throws STORE_TAMPERED. */
  static async open(store: RowStore, seal: RowSeal): Promise<Database> {
    const stateRow = await store.find(STATE_KEY);
    const state = stateRow === undefined ? EMPTY_STATE : readState(seal.open(stateRow).toString());
    if (stateRow !== undefined && stateRow.version !== state.commit) throw tampered("the state row has the wrong number");
    const database = new Database(store, seal, state);
    store.lost.then((error) => {
      database.#failure ??= error;
    });
    let digest = 0n;
    for await (const row of store.scan()) {
      if (row.kind === STATE_KEY.kind) continue;
      const share = seal.rowDigest(row);
      digest = (digest + share) % MODULUS;
      database.#remember(row, share);
    }
    if (digest.toString(16) !== state.digest) throw tampered("rows were removed, added, or replaced by older ones");
    await database.#readLog();
    return database;
  }

  /** Number of commits so far, size and root of the log: what freshness anchors remember. */
  get state(): DatabaseState {
    return this.#state;
  }

  get tree(): AuditTree {
    return this.#tree;
  }

  get description(): string {
    return this.#store.description;
  }

  get isReadOnly(): boolean {
    return this.#store.isReadOnly;
  }

  /** What stopped the database; undefined while it works. */
  get failure(): CasError | undefined {
    return this.#failure;
  }

  set sink(sink: LogSink | undefined) {
    this.#sink = sink;
  }

  /** The value as last committed, frozen for the caller's purposes: it is shared. Throws STORE_TAMPERED. */
  async get<T>(key: RowKey): Promise<T | undefined> {
    const id = name(key);
    const known = this.#index.get(id);
    if (known === undefined) return undefined;
    const cached = this.#cache.get(id);
    if (cached !== undefined) return cached as T; // a kind's values are written by the one module that reads them
    const row = await this.#store.find(key);
    if (row === undefined || row.version !== known.version || this.#seal.rowDigest(row) !== known.digest) {
      while (this.#flushing !== undefined) await this.#flushing;
      if (this.#index.get(id) !== known) return this.get(key); // a commit replaced it meanwhile
      throw tampered(`the row ${key.kind} ${JSON.stringify(key.id)} changed while the CAS was running`);
    }
    const value: unknown = JSON.parse(this.#seal.open(row).toString());
    this.#cache.set(id, value, row.sealed.length);
    return value as T;
  }

  /** The committed value if it is in memory: the fast way for what is needed on every attestation. */
  peek<T>(key: RowKey): T | undefined {
    return this.#cache.get(name(key)) as T | undefined;
  }

  /** Ids of all committed values of a kind, in no particular order. */
  ids(kind: string): ReadonlySet<string> {
    return this.#ids.get(kind) ?? new Set();
  }

  /**
   * Runs `work` alone, on everything that earlier transactions wrote. Resolves when its writes are durable and its log entries accepted.
   * When `work` throws nothing of it is kept. What throws NeedsOutside runs again when the answer is there; until then others have their turns. Throws
   * what `work` throws, what the sink throws, STORE_FAILED, STORE_LOCKED.
   */
  async transact<T>(work: (tx: Transaction) => Promise<T> | T): Promise<T> {
    const prepared = new Map<string, unknown>();
    for (let runs = 1; ; runs += 1) {
      try {
        return await this.#takeTurn(work, prepared);
      } catch (error) {
        if (!(error instanceof NeedsOutside)) throw error;
        if (runs > RUNS_MAX)
          throw new CasError("STORE_FAILED", "others changed the same thing faster than its values could be stored outside");
        await error.ask(prepared);
      }
    }
  }

  async #takeTurn<T>(work: (tx: Transaction) => Promise<T> | T, prepared: ReadonlyMap<string, unknown>): Promise<T> {
    const turn = this.#turn.then(() => this.#run(work, prepared));
    this.#turn = turn.catch(() => {}); // the next one runs whatever became of this one
    const { value, durable } = await turn;
    await durable;
    return value;
  }

  /**
   * Seals every row anew, together with what `work` writes: one commit, while nothing else is written (C-79). The database is afterwards sealed by
   * `seal`, or, when this throws, as it was. Throws as `transact`.
   */
  async reseal<T>(seal: RowSeal, work: (tx: Transaction) => Promise<T> | T): Promise<T> {
    const turn = this.#turn.then(() => this.#reseal(seal, work));
    this.#turn = turn.catch(() => {}); // the next one runs whatever became of this one
    return turn;
  }

  /** Roots of the log when it had each of these sizes, none above its present one. Throws STORE_TAMPERED. */
  async logRootsAt(sizes: readonly number[]): Promise<readonly Uint8Array[]> {
    const read = async (from: number, limit: number) => (await this.#store.readLog(from, limit)).map(({ entry }) => entry);
    const roots = await this.#tree.rootsAt(sizes, read);
    if (roots === undefined) throw tampered("entries of the log changed while the CAS was running");
    return roots;
  }

  /** Entries of the log as stored. */
  readLog(from: number, limit: number): Promise<readonly LogRow[]> {
    return this.#store.readLog(from, limit);
  }

  /** Consistent copy into a new file, between two commits. */
  async copyTo(path: string): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing;
    await this.#store.copyTo(path);
  }

  /** Resolves when everything under way is durable or refused. */
  async settle(): Promise<void> {
    await this.#turn;
    while (this.#flushing !== undefined) await this.#flushing;
  }

  async #run<T>(
    work: (tx: Transaction) => Promise<T> | T,
    prepared: ReadonlyMap<string, unknown>,
  ): Promise<{ value: T; durable: Promise<void> }> {
    while (this.#pending.log.length >= this.maxEntriesPerCommit && this.#flushing !== undefined) await this.#flushing;
    if (this.#failure !== undefined) throw this.#failure;
    const tx = new Transaction((key) => this.#view(key), this.#nextSequence(), prepared);
    const value = await work(tx);
    if (this.#failure !== undefined) throw this.#failure;
    if (tx.writes.length === 0 && tx.log.length === 0) return { value, durable: Promise.resolve() };
    if (this.isReadOnly) throw new CasError("STORE_FAILED", "the database is read-only, every change is refused");
    for (const write of tx.writes) this.#pending.writes.set(name(write.key), write);
    this.#pending.log.push(...tx.log);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#pending.waiting.push({ resolve, reject });
    promise.catch(() => {}); // the caller of `transact` awaits it
    this.#scheduleFlush();
    return { value, durable: promise };
  }

  async #reseal<T>(seal: RowSeal, work: (tx: Transaction) => Promise<T> | T): Promise<T> {
    while (this.#flushing !== undefined) await this.#flushing;
    if (this.#failure !== undefined) throw this.#failure;
    if (this.isReadOnly) throw new CasError("STORE_FAILED", "the database is read-only, every change is refused");
    const tx = new Transaction((key) => this.#view(key), this.#nextSequence(), new Map());
    const value = await work(tx);
    const writes = new Map(tx.writes.map((write) => [name(write.key), write]));
    const commit = this.#commit({ writes, log: [...tx.log], waiting: [] }, seal);
    this.#flushing = commit
      .catch(() => {}) // told below
      .finally(() => {
        this.#flushing = undefined;
      });
    await commit;
    await this.#flushing;
    return value;
  }

  #nextSequence(): number {
    return this.#tree.size + (this.#committing?.log.length ?? 0) + this.#pending.log.length + 1;
  }

  #view(key: RowKey): Promise<unknown> {
    const written = this.#pending.writes.get(name(key)) ?? this.#committing?.writes.get(name(key));
    return written === undefined ? this.get(key) : Promise.resolve(written.value);
  }

  #scheduleFlush(): void {
    // The next turn of the event loop: requests that arrived together are committed together.
    this.#flushing ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#flush().then(resolve);
      });
    });
  }

  async #flush(): Promise<void> {
    const group = this.#pending;
    this.#pending = newGroup();
    this.#committing = group;
    try {
      await this.#commit(group);
      for (const { resolve } of group.waiting) resolve();
    } catch (error) {
      // What came later was built upon what failed.
      const later = this.#pending;
      this.#pending = newGroup();
      for (const { reject } of [...group.waiting, ...later.waiting]) reject(error);
    } finally {
      this.#committing = undefined;
      this.#flushing = undefined;
    }
    if (this.#pending.waiting.length > 0) this.#scheduleFlush();
  }

  /** With another `seal` than the present one, what the group leaves alone is sealed anew. */
  async #commit(group: Group, seal = this.#seal): Promise<void> {
    const log = group.log.map((entry, at) => ({ index: this.#tree.size + at, entry }));
    if (log.length > 0) await this.#sink?.accept(group.log);
    const isResealing = seal !== this.#seal;
    const puts: (SealedRow & { readonly digest: bigint })[] = isResealing ? await this.#resealed(seal, group) : [];
    const deletes: RowKey[] = [];
    let digest = isResealing ? puts.reduce((sum, { digest: share }) => sum + share, 0n) : BigInt(`0x${this.#state.digest}`);
    for (const [id, { key, value }] of group.writes) {
      const before = this.#index.get(id);
      if (before !== undefined && !isResealing) digest -= before.digest;
      if (value === undefined) {
        if (before !== undefined) deletes.push(key);
        continue;
      }
      // A row that returns after its removal starts again at 1: its salt keeps old and new apart.
      const row = seal.seal(key, (before?.version ?? 0) + 1, Buffer.from(JSON.stringify(value)));
      const share = seal.rowDigest(row);
      digest += share;
      puts.push({ ...row, digest: share });
    }
    digest = ((digest % MODULUS) + MODULUS) % MODULUS;
    const tree = this.#tree.preview(group.log);
    const state: DatabaseState = {
      commit: this.#state.commit + 1,
      digest: digest.toString(16),
      logSize: tree.size,
      logRoot: tree.root.toHex(),
    };
    const stateRow = seal.seal(STATE_KEY, state.commit, Buffer.from(JSON.stringify(state)));
    await this.#store.commit({ state: stateRow, puts, deletes, log }).catch((error: unknown) => this.#afterFailure(error));
    this.#state = state;
    this.#seal = seal;
    this.#tree.append(group.log);
    for (const { digest: share, ...row } of puts) {
      this.#remember(row, share);
      const written = group.writes.get(name(row));
      if (written !== undefined) this.#cache.set(name(row), written.value, row.sealed.length);
    }
    for (const key of deletes) this.#forget(key);
    this.onCommitted?.(state);
  }

  /** Every row that the group leaves alone, under its version, sealed by `seal`. */
  async #resealed(seal: RowSeal, group: Group): Promise<(SealedRow & { readonly digest: bigint })[]> {
    const rows: (SealedRow & { readonly digest: bigint })[] = [];
    for await (const row of this.#store.scan()) {
      if (row.kind === STATE_KEY.kind || group.writes.has(name(row))) continue;
      if (this.#index.get(name(row))?.digest !== this.#seal.rowDigest(row)) throw tampered("a row changed while the CAS was running");
      const plain = this.#seal.open(row);
      const resealed = seal.seal(row, row.version, plain);
      plain.fill(0);
      rows.push({ ...resealed, digest: seal.rowDigest(resealed) });
    }
    return rows;
  }

  /** A failed commit may or may not be on disk. Go on only if it is certainly not. */
  async #afterFailure(error: unknown): Promise<never> {
    const isUnchanged = await this.#store.find(STATE_KEY).then(
      (row) => (row?.version ?? 0) === this.#state.commit,
      () => false, // a database that cannot even be read is not unchanged
    );
    if (error instanceof CasError && error.code === "STORE_BROKEN") this.#failure = error;
    else if (!isUnchanged) {
      const remedy = "Repair the cause and start the CAS again: it will read what the database really has.";
      this.#failure = new CasError("STORE_BROKEN", "the database failed in the middle of a change; the CAS serves no more changes", {
        remedy,
        cause: error,
      });
    }
    throw error;
  }

  async #readLog(): Promise<void> {
    for (let from = 0; ; from += LOG_PAGE) {
      const rows = await this.#store.readLog(from, LOG_PAGE);
      for (const [at, { index }] of rows.entries()) if (index !== from + at) throw tampered(`entry ${from + at} of the log is missing`);
      if (this.#tree.size + rows.length > this.#state.logSize + LOG_HEAD_MAX) break;
      this.#tree.append(rows.map(({ entry }) => entry));
      if (rows.length < LOG_PAGE) break;
    }
    if (this.#tree.size !== this.#state.logSize || this.#tree.root.toHex() !== this.#state.logRoot) {
      throw tampered("the log has entries that this CAS did not write, or lacks some that it did");
    }
  }

  #remember(row: SealedRow, digest: bigint): void {
    const known = this.#ids.get(row.kind);
    if (known === undefined) this.#ids.set(row.kind, new Set([row.id]));
    else known.add(row.id);
    this.#index.set(name(row), { version: row.version, digest });
  }

  #forget(key: RowKey): void {
    this.#ids.get(key.kind)?.delete(key.id);
    this.#index.delete(name(key));
    this.#cache.delete(name(key));
  }
}

/** The row is sealed, so what does not fit was written by another program, not by another hand (hazard E9). */
function readState(text: string): DatabaseState {
  const parsed = DatabaseState.safeParse(JSON.parse(text));
  if (parsed.success) return parsed.data;
  throw new CasError("STORE_FAILED", "the database was written by a newer program, and this one does not read its form", {
    remedy: "Start the newer program, or restore a snapshot that this one has made.",
  });
}

function tampered(detail: string): CasError {
  return new CasError("STORE_TAMPERED", `the database is not what this CAS left: ${detail}`, {
    remedy: "Restore the last snapshot, then confirm the loss with: vouchsafe cas accept-rollback.",
  });
}
