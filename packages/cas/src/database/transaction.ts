import type { RowKey } from "../store/row-store.ts";

/** An entry of the log before it has a place. `data` holds limited information only (C-86). */
export interface LogDraft {
  readonly time: string;
  readonly cas: string;
  readonly event: string;
  readonly data: object;
}

/**
 * Thrown by the work of a transaction that needs an answer from outside: nothing of the run is kept, `ask` is awaited while others go on, and the work
 * runs again on what is there then. What `ask` heard stands in `prepared` of the next runs.
 */
export class NeedsOutside extends Error {
  readonly ask: (prepared: Map<string, unknown>) => Promise<void>;

  constructor(ask: (prepared: Map<string, unknown>) => Promise<void>) {
    super("the transaction needs an answer from outside");
    this.name = new.target.name;
    this.ask = ask;
  }
}

/** One change under construction: reads see what it wrote itself and what earlier transactions wrote. */
export class Transaction {
  readonly #view: (key: RowKey) => Promise<unknown>;
  readonly #writes = new Map<string, { readonly key: RowKey; readonly value: unknown }>();
  readonly #log: string[] = [];
  readonly #firstSequence: number;
  /** What earlier runs of the same work asked for outside. */
  readonly prepared: ReadonlyMap<string, unknown>;

  constructor(view: (key: RowKey) => Promise<unknown>, firstSequence: number, prepared: ReadonlyMap<string, unknown>) {
    this.#view = view;
    this.#firstSequence = firstSequence;
    this.prepared = prepared;
  }

  get writes(): readonly { readonly key: RowKey; readonly value: unknown }[] {
    return [...this.#writes.values()];
  }

  get log(): readonly string[] {
    return this.#log;
  }

  async get<T>(key: RowKey): Promise<T | undefined> {
    const written = this.#writes.get(`${key.kind}\0${key.id}`);
    const value = written === undefined ? await this.#view(key) : written.value;
    return value as T | undefined; // a kind's values are written by the one module that reads them
  }

  /** `value` is JSON-serialisable, and not changed afterwards. */
  put(key: RowKey, value: object): void {
    this.#writes.set(`${key.kind}\0${key.id}`, { key, value });
  }

  delete(key: RowKey): void {
    this.#writes.set(`${key.kind}\0${key.id}`, { key, value: undefined });
  }

  /** Adds an entry to the log (C-82). Returns its sequence, from 1. */
  append({ time, cas, event, data }: LogDraft): number {
    const sequence = this.#firstSequence + this.#log.length;
    this.#log.push(JSON.stringify({ sequence, time, cas, event, data }));
    return sequence;
  }
}
