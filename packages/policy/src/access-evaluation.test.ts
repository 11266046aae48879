import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { canContribute } from "./access-evaluation.ts";
import {
  type AccessCaller,
  type AccessEntry,
  type Creator,
  contributes,
  couldBeSatisfied,
  evaluateAccess,
  renderDecision,
} from "./index.ts";

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

const [k1, k2, k3] = KEYS.map((keyHash): AccessEntry => ({ kind: "key", keyHash })) as [AccessEntry, AccessEntry, AccessEntry];
const certificate: AccessEntry = { kind: "certificate", keyHash: "k1", pem: "" };
const signer: AccessEntry = { kind: "signer", keyHash: "k1", publicKey: "" };
const placeholder: AccessEntry = { kind: "placeholder", secret: "s", text: "$$SCONE::s$$" };
const all = (...entries: readonly AccessEntry[]): AccessEntry => ({ kind: "all", entries });
const two = (...entries: readonly AccessEntry[]): AccessEntry => ({ kind: "at-least", count: 2, entries });
const creator: Creator = { kind: "certificate", keyHash: "k1", pem: undefined };

test("SL-171 a creator who signs counts by the signature, one who connects by the connection, and nobody is no creator", () => {
  const decide = (who: AccessCaller) => evaluateAccess([{ kind: "creator" }], who).satisfied;
  const signing: Creator = { kind: "signer", keyHash: "k1", publicKey: "" };
  const both = { certificateKeyHash: "k1", signerKeyHashes: new Set(["k2"]) };
  assert.deepEqual([decide({ ...both, creator }), decide({ ...both, creator: signing })], [true, false]);
  assert.equal(decide({ signerKeyHashes: new Set(["k1"]), creator: signing }), true);
  assert.deepEqual([decide(both), decide({}), decide({ creator: signing })], [false, false, false]);
});

test("C-60 without a connection or a signature no entry with a key is satisfied", () => {
  for (const one of [k1, certificate, signer]) assert.equal(evaluateAccess([one], {}).satisfied, false);
});

test("SL-183 a caller can contribute alone, or as one of several, and perhaps by what stands in a secret", () => {
  const caller = { certificateKeyHash: "k1" };
  for (const rule of [
    [k1],
    [k2, k1],
    [all(k2, k1)],
    [two(k2, all(k3, k1))],
    [placeholder],
    [all(k2, placeholder)],
    [{ kind: "any" } as const],
  ])
    assert.equal(canContribute(rule, caller), true, JSON.stringify(rule));
  for (const rule of [[], [k2], [all(k2, k3)], [two(k2, k3)], [all()], [{ kind: "none" } as const], [signer]])
    assert.equal(canContribute(rule, caller), false, JSON.stringify(rule));
});

test("whoever satisfies one entry somewhere in a rule contributes to it", () => {
  const decide = (...rule: readonly AccessEntry[]) => contributes(evaluateAccess(rule, { certificateKeyHash: "k1" }));
  assert.deepEqual([decide(k1), decide(k2, all(k3, two(k2, k1)))], [true, true]);
  assert.deepEqual([decide(), decide(k2), decide(all(k2, k3)), decide(placeholder)], [false, false, false, false]);
});

test("a rule can still be satisfied while enough of those that it names are left", () => {
  const left = (rule: readonly AccessEntry[], without: readonly string[], by?: Creator) => couldBeSatisfied(rule, new Set(without), by);
  for (const one of [k1, certificate, signer]) assert.deepEqual([left([one], ["k2"]), left([one], ["k1"])], [true, false], one.kind);
  assert.deepEqual(
    [left([], []), left([{ kind: "none" }], []), left([{ kind: "any" }], KEYS), left([placeholder], KEYS)],
    [false, false, true, true],
  );
  const byCreator: AccessEntry = { kind: "creator" };
  assert.deepEqual([left([byCreator], ["k2"], creator), left([byCreator], ["k1"], creator), left([byCreator], [])], [true, false, false]);
  assert.deepEqual([left([all(k1, k2)], ["k3"]), left([all(k1, k2)], ["k1"]), left([k3, all(k1, k2)], ["k1"])], [true, false, true]);
  assert.deepEqual([left([two(k1, k2, k3)], ["k1"]), left([two(k1, k2, k3)], ["k1", "k2"])], [true, false]);
});

test("C-61 a decision is shown entry by entry, with counts and without a key", () => {
  const rule = [k1, signer, certificate, { kind: "creator" } as const, { kind: "any" } as const, { kind: "none" } as const];
  assert.equal(
    renderDecision(evaluateAccess([...rule, placeholder, all(k1, k2), two(k1, k2, k3)], { certificateKeyHash: "k2" })),
    [
      "any of 9 (1 satisfied): satisfied",
      "  holder of a connection key: missing",
      "  holder of a signing key: missing",
      "  holder of a connection key: missing",
      "  the creator: missing",
      "  anybody: satisfied",
      "  nobody: missing",
      "  value of secret s, which is missing or unsuitable: missing",
      "  all of 2 (1 satisfied): missing",
      "    holder of a connection key: missing",
      "    holder of a connection key: satisfied",
      "  at least 2 of 3 (1 satisfied): missing",
      "    holder of a connection key: missing",
      "    holder of a connection key: satisfied",
      "    holder of a connection key: missing",
      "",
    ].join("\n"),
  );
});
