/** One case of a collection of test vectors: a folder with `expected.json` and the files that it lists. */
export interface VectorCase {
  readonly family: string;
  readonly name: string;
  /** `expected.json`, parsed. */
  readonly expected: Readonly<Record<string, unknown>>;
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** The vendors' roots of the collection, by file name. */
  readonly roots: ReadonlyMap<string, Uint8Array>;
}

/** How the library answered one case. */
export interface CaseVerdict {
  readonly isRight: boolean;
  /** What `expected.json` says, and what the library says, in its words. */
  readonly expected: string;
  readonly found: string;
  readonly reason?: string;
}
