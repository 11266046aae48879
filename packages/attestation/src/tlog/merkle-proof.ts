import { isSameBytes } from "../core/bytes.ts";
import { LogError } from "./log-error.ts";
import { EMPTY_ROOT, nodeHash } from "./merkle-tree.ts";

/** Positions may come from another log and be larger than 2^53: pass those as bigint. */
export type Position = number | bigint;

const MAX_PROOF_HASHES = 128; // two for each level of a tree of 2^64 entries

/** That the entry with hash `leaf` has `index` in the tree of `size` entries with `root` (RFC 9162 §2.1.3.2). Throws LOG_PROOF. */
export function verifyInclusion(claim: {
  readonly index: Position;
  readonly size: Position;
  readonly leaf: Uint8Array;
  readonly root: Uint8Array;
  readonly proof: readonly Uint8Array[];
}): void {
  verifySubtreeInclusion({ ...claim, start: 0n, end: claim.size });
}

/**
 * The same within the subtree of the entries `start` to `end` (exclusive), as Merkle tree certificates use it. Throws LOG_PROOF when the
 * range is not a subtree of any tree, the entry lies outside, or the hashes do not lead to `root`.
 */
export function verifySubtreeInclusion(claim: {
  readonly index: Position;
  readonly start: Position;
  readonly end: Position;
  readonly leaf: Uint8Array;
  readonly root: Uint8Array;
  readonly proof: readonly Uint8Array[];
}): void {
  const { leaf, root, proof } = claim;
  const [index, start, end] = [BigInt(claim.index), BigInt(claim.start), BigInt(claim.end)];
  assertSubtree(start, end);
  if (index < start || index >= end) throw refused(`entry ${index} is not between ${start} and ${end}`);
  assertHashes([leaf, ...proof]);
  let at = index - start;
  let last = end - start - 1n;
  let hash = leaf;
  for (const sibling of proof) {
    if (last === 0n) throw refused("the proof has more hashes than the path to the root");
    if (at % 2n === 1n || at === last) {
      hash = nodeHash(sibling, hash); // and `at` is not 0: it is odd, or `last`
      while (at % 2n === 0n) [at, last] = [at >> 1n, last >> 1n];
    } else {
      hash = nodeHash(hash, sibling);
    }
    [at, last] = [at >> 1n, last >> 1n];
  }
  if (last !== 0n) throw refused("the proof has fewer hashes than the path to the root");
  assertEqual(hash, root, "the proof does not lead to the root");
}

/** That the tree of `size` entries begins with the tree of `earlier` entries (RFC 9162 §2.1.4.2). Throws LOG_PROOF; an empty earlier tree is consistent only with itself. */
export function verifyConsistency(claim: {
  readonly earlier: Position;
  readonly size: Position;
  readonly earlierRoot: Uint8Array;
  readonly root: Uint8Array;
  readonly proof: readonly Uint8Array[];
}): void {
  const [earlier, size] = [BigInt(claim.earlier), BigInt(claim.size)];
  const { earlierRoot, root, proof } = claim;
  if (earlier !== 0n) {
    verifySubtreeConsistency({ start: 0n, end: earlier, size, subtreeRoot: earlierRoot, root, proof });
    return;
  }
  // A proof from the empty tree would say nothing about the later one.
  if (size !== 0n || proof.length > 0) throw refused("nothing can be proved from the empty tree");
  for (const hash of [earlierRoot, root]) assertEqual(hash, EMPTY_ROOT, "the root of the empty tree is another");
}

/** That the tree of `size` entries with `root` contains the subtree of the entries `start` to `end` with `subtreeRoot`. Throws LOG_PROOF. */
export function verifySubtreeConsistency(claim: {
  readonly start: Position;
  readonly end: Position;
  readonly size: Position;
  readonly subtreeRoot: Uint8Array;
  readonly root: Uint8Array;
  readonly proof: readonly Uint8Array[];
}): void {
  const { subtreeRoot, root, proof } = claim;
  const [start, end, size] = [BigInt(claim.start), BigInt(claim.end), BigInt(claim.size)];
  assertSubtree(start, end);
  if (end > size) throw refused(`the subtree ends at ${end}, the tree at ${size}`);
  assertHashes(proof);
  if (start === end) {
    // Every tree contains the empty subtree.
    if (proof.length > 0) throw refused("the empty subtree needs no proof");
    assertEqual(subtreeRoot, EMPTY_ROOT, "the root of the empty subtree is another");
    return;
  }
  let [first, last, top] = [start, end - 1n, size - 1n];
  const up = () => {
    [first, last, top] = [first >> 1n, last >> 1n, top >> 1n];
  };
  if (last === top) while (first !== last) up();
  else while (first !== last && last % 2n === 1n) up();
  const isWhole = first === last;
  const rest = isWhole ? proof : proof.slice(1);
  const seed = isWhole ? subtreeRoot : proof[0];
  if (seed === undefined) throw refused("the proof is empty");
  let subtreeHash = seed;
  let treeHash = seed;
  for (const sibling of rest) {
    if (top === 0n) throw refused("the proof has more hashes than the path to the root");
    if (last % 2n === 1n || last === top) {
      if (first < last) subtreeHash = nodeHash(sibling, subtreeHash);
      treeHash = nodeHash(sibling, treeHash);
      while (last % 2n === 0n) up();
    } else {
      treeHash = nodeHash(treeHash, sibling);
    }
    up();
  }
  if (top !== 0n) throw refused("the proof has fewer hashes than the path to the root");
  assertEqual(subtreeHash, subtreeRoot, "the proof does not lead to the earlier root");
  assertEqual(treeHash, root, "the proof does not lead to the root");
}

/** A range is a subtree when it begins at a multiple of the smallest power of two that holds it. */
function assertSubtree(start: bigint, end: bigint): void {
  if (start < 0n || start > end || end >= 1n << 64n) throw refused(`entries ${start} to ${end} are not a range`);
  let width = 1n;
  while (width < end - start) width <<= 1n;
  if (start % width !== 0n) throw refused(`entries ${start} to ${end} are not a subtree`);
}

function assertHashes(hashes: readonly Uint8Array[]): void {
  if (hashes.length > MAX_PROOF_HASHES) throw refused(`the proof has ${hashes.length} hashes, at most ${MAX_PROOF_HASHES} can be needed`);
  const wrong = hashes.find((hash) => hash.length !== 32);
  if (wrong !== undefined) throw refused(`a hash of ${wrong.length} bytes; SHA-256 has 32`);
}

function assertEqual(found: Uint8Array, expected: Uint8Array, otherwise: string): void {
  if (!isSameBytes(found, expected)) throw refused(otherwise);
}

const refused = (detail: string): LogError => new LogError("LOG_PROOF", detail);
