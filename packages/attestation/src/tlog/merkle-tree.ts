import { hash } from "../crypto/current-provider.ts";
import { LogError } from "./log-error.ts";

/** Root of the tree without entries: the SHA-256 of nothing (RFC 9162 §2.1.1). */
export const EMPTY_ROOT: Uint8Array = hash("sha256");

/** Hash of an entry (RFC 9162 §2.1.1). */
export const leafHash = (entry: Uint8Array): Uint8Array => hash("sha256", Uint8Array.of(0), entry);

/** Hash of two neighbours (RFC 9162 §2.1.1). */
export const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array => hash("sha256", Uint8Array.of(1), left, right);

/**
 * What an appender has to keep of a Merkle tree: the roots of its complete subtrees, largest first. There are as many as `size` has
 * one bits; together they give root and next state.
 */
export interface TreeEdge {
  readonly size: number;
  readonly hashes: readonly Uint8Array[];
}

/** The edge of a log without entries: where `appendLeaf` begins. */
export const EMPTY_EDGE: TreeEdge = { size: 0, hashes: [] };

/** A subtree that an appended entry completed: it never changes again and may be stored under level and index. */
export interface CompleteNode {
  readonly level: number;
  readonly index: number;
  readonly hash: Uint8Array;
}

/** Adds one entry; `completed` lists the nodes that are final from now on, leaf first. */
export function appendLeaf(edge: TreeEdge, leaf: Uint8Array): { readonly edge: TreeEdge; readonly completed: readonly CompleteNode[] } {
  const hashes = [...edge.hashes];
  const completed: CompleteNode[] = [{ level: 0, index: edge.size, hash: leaf }];
  let hash = leaf;
  let index = edge.size;
  for (let level = 1; index % 2 === 1; level++) {
    const left = hashes.pop();
    if (left === undefined) throw new TypeError(`a tree of ${edge.size} entries has more complete subtrees than were given`);
    hash = nodeHash(left, hash);
    index = (index - 1) / 2;
    completed.push({ level, index, hash });
  }
  return { edge: { size: edge.size + 1, hashes: [...hashes, hash] }, completed };
}

/** Root hash of the whole tree that ends in this edge. */
export const rootOf = (edge: TreeEdge): Uint8Array =>
  edge.hashes.length === 0 ? EMPTY_ROOT : edge.hashes.reduceRight((right, left) => nodeHash(left, right));

/** Gives the hash of the complete subtree of 2^`level` entries that begins at entry `index` · 2^`level`. */
export type NodeReader = (level: number, index: number) => Uint8Array;

/** Proof that entry `index` is in the tree of `size` entries (RFC 9162 §2.1.3.1). Reads about log2(size)² nodes at most. */
export function proveInclusion(index: number, size: number, read: NodeReader): Uint8Array[] {
  if (!(Number.isSafeInteger(index) && Number.isSafeInteger(size) && index >= 0 && index < size)) {
    throw new LogError("LOG_PROOF", `entry ${index} is not in a tree of ${size} entries`);
  }
  return pathTo(index, 0, size, read);
}

/** Proof that the tree of `size` entries begins with the tree of `earlier` entries (RFC 9162 §2.1.4.1). */
export function proveConsistency(earlier: number, size: number, read: NodeReader): Uint8Array[] {
  if (!(Number.isSafeInteger(earlier) && Number.isSafeInteger(size) && earlier > 0 && earlier <= size)) {
    throw new LogError("LOG_PROOF", `a tree of ${size} entries has no earlier state of ${earlier}`);
  }
  return subProof(earlier, 0, size, true, read);
}

function pathTo(index: number, start: number, end: number, read: NodeReader): Uint8Array[] {
  if (end - start === 1) return [];
  const middle = start + splitPoint(end - start);
  return index < middle
    ? [...pathTo(index, start, middle, read), rangeHash(middle, end, read)]
    : [...pathTo(index, middle, end, read), rangeHash(start, middle, read)];
}

function subProof(earlier: number, start: number, end: number, isKnownRoot: boolean, read: NodeReader): Uint8Array[] {
  if (earlier === end) return isKnownRoot ? [] : [rangeHash(start, end, read)];
  const middle = start + splitPoint(end - start);
  return earlier <= middle
    ? [...subProof(earlier, start, middle, isKnownRoot, read), rangeHash(middle, end, read)]
    : [...subProof(earlier, middle, end, false, read), rangeHash(start, middle, read)];
}

/** The largest power of two below `size`. */
function splitPoint(size: number): number {
  let power = 1;
  while (power * 2 < size) power *= 2;
  return power;
}

function rangeHash(start: number, end: number, read: NodeReader): Uint8Array {
  const width = end - start;
  const level = Math.log2(width);
  if (Number.isInteger(level)) return read(level, start / width); // ranges of a split tree begin at multiples of their width
  const middle = start + splitPoint(width);
  return nodeHash(rangeHash(start, middle, read), rangeHash(middle, end, read));
}
