import { z } from "zod";

/** Sums of row digests are taken modulo this. */
export const MODULUS = 2n ** 256n;

/** Kept in the state row, which every commit replaces: stands for the whole database. */
export const DatabaseState = z.strictObject({
  /** Number of commits; also the version of the state row. */
  commit: z.int().min(0),
  /** Sum of the keyed digests of all rows, hex: no row can be exchanged for an older one, removed or added. */
  digest: z.string().regex(/^[0-9a-f]{1,64}$/),
  logSize: z.int().min(0),
  logRoot: z.string().regex(/^[0-9a-f]{64}$/),
});
export type DatabaseState = z.infer<typeof DatabaseState>;

export const EMPTY_STATE: DatabaseState = {
  commit: 0,
  digest: "0",
  logSize: 0,
  logRoot: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", // root of an empty tree
};
