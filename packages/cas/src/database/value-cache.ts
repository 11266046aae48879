const MAX_BYTES = 64 * 1024 * 1024;

/** Values in memory, least recently used ones leave first. Sizes are those of the sealed rows: an estimate. */
export class ValueCache {
  readonly #values = new Map<string, { readonly value: unknown; readonly bytes: number }>();
  #bytes = 0;

  get(name: string): unknown {
    const found = this.#values.get(name);
    if (found === undefined) return undefined;
    this.#values.delete(name); // a Map keeps insertion order: put back, it is the newest
    this.#values.set(name, found);
    return found.value;
  }

  set(name: string, value: unknown, bytes: number): void {
    this.delete(name);
    this.#values.set(name, { value, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#values.keys()) {
      if (this.#bytes <= MAX_BYTES) return;
      this.delete(oldest);
    }
  }

  delete(name: string): void {
    const found = this.#values.get(name);
    if (found === undefined) return;
    this.#bytes -= found.bytes;
    this.#values.delete(name);
  }
}
