import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { ecPublicKey } from "../x509/public-key.ts";
import { formatCheckpoint } from "./checkpoint.ts";
import { verifyConsistency, verifyInclusion, verifySubtreeConsistency, verifySubtreeInclusion } from "./merkle-proof.ts";
import { appendLeaf, EMPTY_EDGE, EMPTY_ROOT, leafHash, nodeHash, proveConsistency, proveInclusion } from "./merkle-tree.ts";
import { cosignNote, formatVerifierKey, signNote } from "./sign-note.ts";
import { asWitness, isNoteName, noteKeyBytes, noteKeyId, openNote, parseVerifierKey } from "./signed-note.ts";

const leaves = Array.from({ length: 8 }, (_, index) => leafHash(Buffer.of(index)));
const read = (level: number, index: number): Uint8Array =>
  level === 0 ? (leaves[index] ?? EMPTY_ROOT) : nodeHash(read(level - 1, index * 2), read(level - 1, index * 2 + 1));
const root = read(3, 0);

test("RFC 9162: each entry is a subtree that the tree contains", () => {
  for (const [index, leaf] of leaves.entries()) {
    const claim = { size: 8, root, proof: proveInclusion(index, 8, read) };
    verifySubtreeConsistency({ ...claim, start: index, end: index + 1, subtreeRoot: leaf });
    verifySubtreeInclusion({ root, proof: claim.proof, leaf, index, start: 0, end: 8 });
  }
});

const claim = { leaf: EMPTY_ROOT, root, proof: [] };
const refused: readonly { rule: string; verify: () => void; says: RegExp }[] = [
  {
    rule: "an entry before its subtree",
    verify: () => verifySubtreeInclusion({ ...claim, index: 3, start: 4, end: 8 }),
    says: /entry 3 is not between 4 and 8/,
  },
  { rule: "a tree of 2^64 entries", verify: () => verifyInclusion({ ...claim, index: 0n, size: 1n << 64n }), says: /are not a range/ },
  {
    rule: "the empty tree before one that says it is empty",
    verify: () => verifyConsistency({ earlier: 0, size: 5, earlierRoot: EMPTY_ROOT, root: EMPTY_ROOT, proof: [] }),
    says: /nothing can be proved/,
  },
  {
    rule: "an empty subtree with a root",
    verify: () => verifySubtreeConsistency({ start: 0, end: 0, size: 8, subtreeRoot: root, root, proof: [] }),
    says: /root of the empty subtree/,
  },
  { rule: "half an entry", verify: () => void proveInclusion(0.5, 8, read), says: /entry 0\.5 is not in a tree of 8/ },
  { rule: "an entry of half a tree", verify: () => void proveInclusion(0, 2.5, read), says: /tree of 2\.5/ },
  { rule: "an entry before the first", verify: () => void proveInclusion(-1, 8, read), says: /entry -1 / },
  { rule: "half an earlier tree", verify: () => void proveConsistency(1.5, 8, read), says: /earlier state of 1\.5/ },
  { rule: "an earlier state of half a tree", verify: () => void proveConsistency(1, 2.5, read), says: /tree of 2\.5/ },
  { rule: "an earlier tree that is larger", verify: () => void proveConsistency(8, 7, read), says: /no earlier state of 8/ },
];

for (const { rule, verify, says } of refused) {
  test(`RFC 9162: refused: ${rule}`, () => assert.throws(verify, { name: "LogError", code: "LOG_PROOF", message: says }));
}

test("the edge of a tree has as many hashes as its size has one bits", () => {
  assert.throws(() => appendLeaf({ ...EMPTY_EDGE, size: 1 }, root), { name: "TypeError", message: /more complete subtrees/ });
});

const TEXT = "example\n";
const newKey = () => generateKeyPairSync("ed25519");
const [first, second] = [newKey(), newKey()];
const verifierOf = ({ publicKey }: ReturnType<typeof newKey>, name = "log") => parseVerifierKey(formatVerifierKey(name, publicKey));
const signed = signNote(TEXT, "log", first.privateKey);
const line = signed.slice(TEXT.length + 1);

test("C2SP signed-note: of two keys with one name the one that signed is asked, and a signature counts once", () => {
  const verifiers = [second, first].map((pair) => verifierOf(pair));
  assert.deepEqual(
    openNote(signed, verifiers).verifiedBy.map(({ keyId }) => keyId),
    [verifierOf(first).keyId],
  );
  assert.equal(openNote(signed + line, verifiers).verifiedBy.length, 1);
  const both = signed + signNote(TEXT, "log", second.privateKey).slice(TEXT.length + 1);
  assert.deepEqual([openNote(both, verifiers).verifiedBy.length, openNote(both, verifiers).unverified], [2, 0]);
  const one = openNote(both, [verifierOf(first)]);
  assert.deepEqual([one.verifiedBy.length, one.unverified], [1, 1]);
});

test("C2SP signed-note: what is no note is refused with what is wrong", () => {
  const cases: readonly (readonly [note: string, says: RegExp])[] = [
    ["text\n", /no blank line/],
    ["text\n\n", /no signature/],
    [signed.replace(/\n$/, " x\n"), /em dash, a name and base64/],
    [`${TEXT}\nx\n`, /em dash, a name and base64/],
    [`${TEXT}\n— log\n`, /key id of 4 bytes/],
  ];
  for (const [note, message] of cases) assert.throws(() => openNote(note, [verifierOf(first)]), { code: "LOG_MALFORMED", message });
});

test("C2SP tlog-cosignature: a witness's signature without a time is wrong", () => {
  const witness = asWitness(verifierOf(first));
  const note = `${TEXT}\n${cosignNote(TEXT, "log", 7n, first.privateKey)}`;
  assert.equal(openNote(note, [witness]).verifiedBy[0]?.timestamp, 7n);
  const id = Buffer.alloc(4);
  id.writeUInt32BE(witness.keyId);
  const short = `${TEXT}\n— log ${Buffer.concat([id, Buffer.of(1)]).toString("base64")}\n`;
  assert.throws(() => openNote(short, [witness]), { code: "LOG_SIGNATURE", message: /is not valid/ });
});

test("C2SP signed-note: verifier keys and names", () => {
  const bytes = Buffer.concat([Buffer.of(1), Buffer.alloc(33, 7)]);
  const hex = (name: string, key: Uint8Array) => noteKeyId(name, key).toString(16).padStart(8, "0");
  const good = bytes.subarray(0, 33);
  const cases: readonly (readonly [key: string, says: RegExp])[] = [
    [`log+${hex("log", bytes)}+${bytes.toString("base64")}`, /with 34 bytes is not supported/],
    [`a log+${hex("a log", good)}+${good.toString("base64")}`, /NAME\+8 hex digits/],
    ["log", /NAME\+8 hex digits/],
  ];
  for (const [key, message] of cases) assert.throws(() => parseVerifierKey(key), { code: "LOG_MALFORMED", message });
  assert.deepEqual(["", "a b", "a+b", "log"].map(isNoteName), [false, false, false, true]);
  const jwk = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ format: "jwk" });
  const [x, y] = [jwk.x, jwk.y].map((text) => Buffer.from(text ?? "", "base64url")) as [Buffer, Buffer]; // two in, two out
  const key = ecPublicKey("P-256", x, y);
  assert.ok(key !== undefined);
  assert.throws(() => noteKeyBytes(key, "ed25519"), { name: "TypeError", message: /not ec/ });
});

test("C2SP tlog-checkpoint: no line of a checkpoint that is written is empty", () => {
  const checkpoint = { origin: "log", size: 1n, root, extensions: ["x"] };
  assert.equal(formatCheckpoint(checkpoint).split("\n").length, 5);
  for (const change of [{ origin: "" }, { extensions: [""] }, { extensions: ["a\nb"] }, { size: -1n }, { root: root.subarray(1) }]) {
    assert.throws(() => formatCheckpoint({ ...checkpoint, ...change }), TypeError);
  }
});
