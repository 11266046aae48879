import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type AccessCaller, type AccessEntry, evaluateAccess } from "./index.ts";

const KEYS = ["k1", "k2", "k3"];
const key = fc.constantFrom(...KEYS);

const entry: fc.Arbitrary<AccessEntry> = fc.letrec<{ entry: AccessEntry }>((tie) => ({
  entry: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<AccessEntry>(
      { kind: "creator" },
      { kind: "any" },
      { kind: "none" },
      { kind: "placeholder", secret: "s", text: "$$SCONE::s$$" },
    ),
    key.map((keyHash): AccessEntry => ({ kind: "key", keyHash })),
    key.map((keyHash): AccessEntry => ({ kind: "certificate", keyHash, pem: "" })),
    key.map((keyHash): AccessEntry => ({ kind: "signer", keyHash, publicKey: "" })),
    fc.array(tie("entry"), { minLength: 1, maxLength: 4 }).map((entries): AccessEntry => ({ kind: "all", entries })),
    fc
      .array(tie("entry"), { minLength: 1, maxLength: 4 })
      .chain((entries) => fc.integer({ min: 1, max: entries.length }).map((count): AccessEntry => ({ kind: "at-least", count, entries }))),
  ),
})).entry;

const caller: fc.Arbitrary<AccessCaller> = fc.record({
  certificateKeyHash: fc.option(key, { nil: undefined }),
  signerKeyHashes: fc.subarray(KEYS).map((keys) => new Set(keys)),
  creator: fc.option(
    fc.oneof(
      key.map((keyHash) => ({ kind: "certificate", keyHash, pem: undefined }) as const),
      key.map((keyHash) => ({ kind: "signer", keyHash, publicKey: "" }) as const),
    ),
    { nil: undefined },
  ),
});

/** The meaning of a rule in as few words as possible, to compare with. */
function admits(rule: AccessEntry, who: AccessCaller): boolean {
  const count = (entries: readonly AccessEntry[]) => entries.reduce((sum, one) => sum + Number(admits(one, who)), 0);
  const signed = (hash: string | undefined) => hash !== undefined && who.signerKeyHashes?.has(hash) === true;
  if (rule.kind === "any") return true;
  if (rule.kind === "key" || rule.kind === "certificate") return rule.keyHash === who.certificateKeyHash;
  if (rule.kind === "signer") return signed(rule.keyHash);
  if (rule.kind === "creator")
    return who.creator?.kind === "signer"
      ? signed(who.creator.keyHash)
      : who.creator !== undefined && who.creator.keyHash === who.certificateKeyHash;
  if (rule.kind === "all") return count(rule.entries) === rule.entries.length;
  if (rule.kind === "at-least") return count(rule.entries) >= rule.count;
  return false;
}

test("hazard C5, C-60 the evaluator agrees with its reference for random rules and callers", () => {
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 4 }), caller, (rule, who) => {
      assert.equal(
        evaluateAccess(rule, who).satisfied,
        rule.some((one) => admits(one, who)),
      );
    }),
    { numRuns: 5000 },
  );
});

test("SL-171 an empty rule admits nobody, and an empty require-all too", () => {
  assert.equal(evaluateAccess([], {}).satisfied, false);
  assert.equal(evaluateAccess([{ kind: "all", entries: [] }], {}).satisfied, false);
});
