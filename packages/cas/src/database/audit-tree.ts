import { appendLeaf, EMPTY_EDGE, leafHash, rootOf, type TreeEdge } from "@vouchsafe/attestation";

const HASH_BYTES = 32;
const FIRST_CAPACITY = 256;
/** Subtrees of 2^6 entries and more are kept. */
const TILE_LEVEL = 6;
const TILE_ENTRIES = 2 ** TILE_LEVEL;

/** Reads entries of the log, in order: `limit` of them from index `from`. */
export type EntryReader = (from: number, limit: number) => Promise<readonly string[]>;

const appendEntry = (edge: TreeEdge, entry: string) => appendLeaf(edge, leafHash(Buffer.from(entry)));

/**
 * Merkle tree over the entries of the log (C2SP tlog-tiles hashes). Keeps the complete nodes above every 64 entries in memory, which is a byte for
 * each entry, and the states since the last of them; what lies below is computed again from the entries.
 */
export class AuditTree {
  #edge: TreeEdge = EMPTY_EDGE;
  /** States of the tree since its size was a multiple of 64; the first is that state. */
  #recent: TreeEdge[] = [EMPTY_EDGE];
  /** By level, from TILE_LEVEL: the hashes of the complete subtrees of 2^level entries, side by side. */
  readonly #levels: { bytes: Buffer; used: number }[] = [];

  get size(): number {
    return this.#edge.size;
  }

  get root(): Uint8Array {
    return rootOf(this.#edge);
  }

  append(entries: readonly string[]): void {
    for (const entry of entries) {
      const { edge, completed } = appendEntry(this.#edge, entry);
      this.#edge = edge;
      if (edge.size % TILE_ENTRIES === 0) this.#recent = [];
      this.#recent.push(edge);
      for (const { level, hash } of completed) if (level >= TILE_LEVEL) this.#store(level - TILE_LEVEL, hash);
    }
  }

  /** Size and root after these entries, which are not kept. */
  preview(entries: readonly string[]): { readonly size: number; readonly root: Uint8Array } {
    let edge = this.#edge;
    for (const entry of entries) edge = appendEntry(edge, entry).edge;
    return { size: edge.size, root: rootOf(edge) };
  }

  /** Roots of its complete subtrees: with them others can go on from here. */
  get edge(): TreeEdge {
    return this.#edge;
  }

  /**
   * Roots of the tree when it had each of these sizes, none above its present one. Undefined when the entries that `read` gives are not those of
   * the tree.
   */
  async rootsAt(sizes: readonly number[], read: EntryReader): Promise<readonly Uint8Array[] | undefined> {
    const roots: Uint8Array[] = [];
    let states: readonly TreeEdge[] = [];
    for (const size of sizes) {
      if (size > this.size) throw new RangeError(`the log had no ${size} entries yet`);
      const start = size - (size % TILE_ENTRIES);
      if (states[0]?.size !== start) {
        const found = await this.#statesFrom(start, read);
        if (found === undefined) return undefined;
        states = found;
      }
      roots.push(rootOf(states[size - start] ?? EMPTY_EDGE));
    }
    return roots;
  }

  /** States of the tree from a size that is a multiple of TILE_ENTRIES up to the next one, or to the present. */
  async #statesFrom(start: number, read: EntryReader): Promise<readonly TreeEdge[] | undefined> {
    if (this.#recent[0]?.size === start) return [...this.#recent];
    const states: TreeEdge[] = [this.#edgeAt(start)];
    let hash: Uint8Array | undefined;
    for (const entry of await read(start, TILE_ENTRIES)) {
      const { edge, completed } = appendEntry(states.at(-1) ?? EMPTY_EDGE, entry);
      states.push(edge);
      hash = completed[TILE_LEVEL]?.hash;
    }
    return hash !== undefined && Buffer.compare(this.#node(0, start / TILE_ENTRIES), hash) === 0 ? states : undefined;
  }

  /** State of the tree at a size that is a multiple of TILE_ENTRIES. */
  #edgeAt(size: number): TreeEdge {
    const hashes: Uint8Array[] = [];
    let start = 0;
    for (let level = this.#levels.length - 1; level >= 0; level -= 1) {
      const width = TILE_ENTRIES * 2 ** level;
      if (start + width > size) continue;
      hashes.push(this.#node(level, start / width));
      start += width;
    }
    return { size, hashes };
  }

  /** Of a complete subtree. */
  #node(level: number, index: number): Uint8Array {
    const at = index * HASH_BYTES;
    return Uint8Array.from(this.#levels[level]?.bytes.subarray(at, at + HASH_BYTES) ?? []);
  }

  #store(level: number, hash: Uint8Array): void {
    let stored = this.#levels[level];
    if (stored === undefined) {
      stored = { bytes: Buffer.alloc(FIRST_CAPACITY * HASH_BYTES), used: 0 };
      this.#levels[level] = stored;
    }
    if (stored.used + HASH_BYTES > stored.bytes.length) stored.bytes = Buffer.concat([stored.bytes, Buffer.alloc(stored.bytes.length)]);
    stored.bytes.set(hash, stored.used);
    stored.used += HASH_BYTES;
  }
}
