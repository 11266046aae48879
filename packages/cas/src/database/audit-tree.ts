import {
  appendLeaf,
  EMPTY_EDGE,
  leafHash,
  type NodeReader,
  proveConsistency,
  proveInclusion,
  rootOf,
  type TreeEdge,
} from "@vouchsafe/attestation";

const HASH_BYTES = 32;
const FIRST_CAPACITY = 256;

/** Merkle tree over the entries of the log (C2SP tlog-tiles hashes). Keeps every complete node in memory: 64 bytes for each entry. */
export class AuditTree {
  #edge: TreeEdge = EMPTY_EDGE;
  /** By level: the hashes of the complete subtrees of 2^level entries, side by side. */
  readonly #levels: { bytes: Buffer; used: number }[] = [];

  get size(): number {
    return this.#edge.size;
  }

  get root(): Uint8Array {
    return rootOf(this.#edge);
  }

  append(entries: readonly string[]): void {
    for (const entry of entries) {
      const { edge, completed } = appendLeaf(this.#edge, leafHash(Buffer.from(entry)));
      this.#edge = edge;
      for (const { level, hash } of completed) this.#store(level, hash);
    }
  }

  /** Size and root after these entries, which are not kept. */
  preview(entries: readonly string[]): { readonly size: number; readonly root: Uint8Array } {
    let edge = this.#edge;
    for (const entry of entries) edge = appendLeaf(edge, leafHash(Buffer.from(entry))).edge;
    return { size: edge.size, root: rootOf(edge) };
  }

  /** Roots of its complete subtrees: with them others can go on from here. */
  get edge(): TreeEdge {
    return this.#edge;
  }

  /** Root of the tree when it had `size` entries. */
  rootAt(size: number): Uint8Array {
    let edge = EMPTY_EDGE;
    let start = 0;
    const hashes: Uint8Array[] = [];
    for (let level = this.#levels.length - 1; level >= 0; level -= 1) {
      const width = 2 ** level;
      if (start + width > size) continue;
      hashes.push(this.readNode(level, start / width));
      start += width;
    }
    edge = { size, hashes };
    return rootOf(edge);
  }

  inclusionProof(index: number, size: number): Uint8Array[] {
    return proveInclusion(index, size, this.readNode);
  }

  consistencyProof(earlier: number, size: number): Uint8Array[] {
    return proveConsistency(earlier, size, this.readNode);
  }

  readonly readNode: NodeReader = (level, index) => {
    const stored = this.#levels[level];
    const at = index * HASH_BYTES;
    if (stored === undefined || at + HASH_BYTES > stored.used) throw new RangeError(`the log has no node ${level}/${index} yet`);
    return stored.bytes.subarray(at, at + HASH_BYTES);
  };

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
