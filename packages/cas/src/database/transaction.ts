import type { RowKey } from "../store/row-store.ts";

/** An entry of the log before it has a place. `data` holds limited information only (C-86). */
export interface LogDraft {
  readonly time: string;
  readonly cas: string;
  readonly event: string;
  readonly data: object;
}

/** One change under construction: reads see what it wrote itself and what earlier transactions wrote. */
export class Transaction {
  readonly #view: (key: RowKey) => Promise<unknown>;
  readonly #writes = new Map<string, { readonly key: RowKey; readonly value: unknown }>();
  readonly #log: string[] = [];
  readonly #firstSequence: number;

  constructor(view: (key: RowKey) => Promise<unknown>, firstSequence: number) {
    this.#view = view;
    this.#firstSequence = firstSequence;
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
