import assert from "node:assert/strict";
import { createHash, generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { formatCheckpoint, openCheckpoint, parseCheckpoint } from "./checkpoint.ts";
import { LogError } from "./log-error.ts";
import { verifyConsistency, verifyInclusion, verifySubtreeConsistency, verifySubtreeInclusion } from "./merkle-proof.ts";
import { appendLeaf, EMPTY_EDGE, EMPTY_ROOT, leafHash, nodeHash, proveConsistency, proveInclusion, rootOf } from "./merkle-tree.ts";
import { cosignNote, formatVerifierKey, signNote } from "./sign-note.ts";
import { asWitness, openNote, parseVerifierKey } from "./signed-note.ts";

/** A log of `size` entries with everything needed to prove things about it. */
function growLog(size: number) {
  const nodes = new Map<string, Uint8Array>();
  const roots = [EMPTY_ROOT];
  const leaves: Uint8Array[] = [];
  let edge = EMPTY_EDGE;
  for (let entry = 0; entry < size; entry++) {
    const leaf = leafHash(Buffer.from(`entry ${entry}`));
    const appended = appendLeaf(edge, leaf);
    edge = appended.edge;
    for (const { level, index, hash } of appended.completed) nodes.set(`${level}/${index}`, hash);
    leaves.push(leaf);
    roots.push(rootOf(edge));
  }
  const read = (level: number, index: number): Uint8Array => {
    const hash = nodes.get(`${level}/${index}`);
    if (hash === undefined) throw new Error(`node ${level}/${index} is not complete`);
    return hash;
  };
  return { roots, leaves, read };
}
const log = growLog(70);
const rootAt = (size: number): Uint8Array => log.roots[size] ?? assert.fail();
const leafAt = (index: number): Uint8Array => log.leaves[index] ?? assert.fail();
const refusedWith = (code: string) => (error: unknown) => error instanceof LogError && error.code === code;

test("RFC 9162 §2.1.1: the root of three entries is the hash of the first two and the third", () => {
  assert.equal(rootAt(0).toHex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  assert.equal(leafHash(new Uint8Array(0)).toHex(), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
});

test("every entry is proved in every tree that has it, and in no tree under another index, size or root", () => {
  for (let size = 1; size <= 40; size++) {
    for (let index = 0; index < size; index++) {
      const proof = proveInclusion(index, size, log.read);
      const claim = { index, size, leaf: leafAt(index), root: rootAt(size), proof };
      verifyInclusion(claim);
      assert.throws(() => verifyInclusion({ ...claim, leaf: leafAt(index + 1) }), refusedWith("LOG_PROOF"));
      assert.throws(() => verifyInclusion({ ...claim, root: rootAt(size + 1) }), refusedWith("LOG_PROOF"));
      assert.throws(() => verifyInclusion({ ...claim, index: index + 1 }), refusedWith("LOG_PROOF"));
      assert.throws(() => verifyInclusion({ ...claim, proof: [...proof, leafAt(0)] }), refusedWith("LOG_PROOF"));
      assert.throws(
        () => verifyInclusion({ ...claim, proof: proof.slice(1).concat(proof.length === 0 ? [leafAt(0)] : []) }),
        refusedWith("LOG_PROOF"),
      );
    }
  }
});

test("hazard B12: every tree is consistent with every earlier state, and with no other", () => {
  for (let size = 1; size <= 40; size++) {
    for (let earlier = 1; earlier <= size; earlier++) {
      const proof = proveConsistency(earlier, size, log.read);
      const claim = { earlier, size, earlierRoot: rootAt(earlier), root: rootAt(size), proof };
      verifyConsistency(claim);
      assert.throws(() => verifyConsistency({ ...claim, earlierRoot: rootAt(earlier - 1) }), refusedWith("LOG_PROOF"));
      assert.throws(() => verifyConsistency({ ...claim, root: rootAt(size + 1) }), refusedWith("LOG_PROOF"));
      assert.throws(() => verifyConsistency({ ...claim, proof: [...proof, rootAt(1)] }), refusedWith("LOG_PROOF"));
    }
  }
});

test("nothing is proved from the empty tree, and trees do not shrink", () => {
  const root = rootAt(5);
  assert.throws(() => verifyConsistency({ earlier: 0, size: 5, earlierRoot: EMPTY_ROOT, root, proof: [] }), refusedWith("LOG_PROOF"));
  assert.throws(() => verifyConsistency({ earlier: 5, size: 4, earlierRoot: root, root: rootAt(4), proof: [] }), refusedWith("LOG_PROOF"));
  verifyConsistency({ earlier: 0, size: 0, earlierRoot: EMPTY_ROOT, root: EMPTY_ROOT, proof: [] });
  // Equal, but not what an empty tree has.
  assert.throws(() => verifyConsistency({ earlier: 0, size: 0, earlierRoot: root, root, proof: [] }), refusedWith("LOG_PROOF"));
  assert.throws(() => proveConsistency(0, 5, log.read), refusedWith("LOG_PROOF"));
  assert.throws(() => proveInclusion(5, 5, log.read), refusedWith("LOG_PROOF"));
});

test("a complete subtree is proved in the tree that contains it", () => {
  const [subtreeRoot, root] = [log.read(2, 1), rootAt(8)]; // entries 4 to 8
  verifySubtreeConsistency({ start: 4, end: 8, size: 8, subtreeRoot, root, proof: [log.read(2, 0)] });
  verifySubtreeInclusion({ index: 5, start: 4, end: 8, leaf: leafAt(5), root: subtreeRoot, proof: [leafAt(4), log.read(1, 3)] });
  const misplaced = { start: 2, end: 6, size: 8, subtreeRoot, root, proof: [] };
  assert.throws(() => verifySubtreeConsistency(misplaced), { code: "LOG_PROOF", message: /not a subtree/ });
});

const [one, two] = [leafAt(0), leafAt(1)];
const subtree = { start: 0, end: 2, size: 1, subtreeRoot: one, root: one, proof: [] };
const forged: readonly { readonly rule: string; readonly verify: () => void; readonly says: RegExp }[] = [
  {
    rule: "an entry in a range that is no subtree",
    verify: () => verifySubtreeInclusion({ index: 1, start: 1, end: 3, leaf: one, root: nodeHash(one, two), proof: [two] }),
    says: /not a subtree/,
  },
  {
    rule: "an entry with a hash more than its path",
    verify: () => verifyInclusion({ index: 0, size: 1, leaf: one, root: nodeHash(two, one), proof: [two] }),
    says: /more hashes/,
  },
  {
    rule: "an entry whose proof ends early",
    verify: () => verifyInclusion({ index: 0, size: 4, leaf: one, root: nodeHash(one, two), proof: [two] }),
    says: /fewer hashes/,
  },
  {
    rule: "an entry beside a hash of 31 bytes",
    verify: () => verifyInclusion({ index: 0, size: 2, leaf: one, root: nodeHash(one, two.subarray(1)), proof: [two.subarray(1)] }),
    says: /hash of 31 bytes/,
  },
  { rule: "a subtree that is longer than the tree", verify: () => verifySubtreeConsistency(subtree), says: /ends at 2, the tree at 1/ },
  {
    rule: "a range that ends before it begins",
    verify: () => verifySubtreeConsistency({ ...subtree, start: 2, end: 1, size: 4 }),
    says: /not a range/,
  },
  {
    rule: "a negative range",
    verify: () => verifySubtreeConsistency({ ...subtree, start: -1, end: -1, subtreeRoot: EMPTY_ROOT }),
    says: /not a range/,
  },
  {
    rule: "an earlier state beside a hash of 31 bytes",
    verify: () =>
      verifyConsistency({ earlier: 1, size: 2, earlierRoot: one, root: nodeHash(one, two.subarray(1)), proof: [two.subarray(1)] }),
    says: /hash of 31 bytes/,
  },
  {
    rule: "an earlier state without the hash to begin with",
    verify: () => verifyConsistency({ earlier: 3, size: 4, earlierRoot: rootAt(3), root: rootAt(4), proof: [] }),
    says: /proof is empty/,
  },
  {
    rule: "an earlier state with a hash more than its path",
    verify: () => verifyConsistency({ earlier: 1, size: 1, earlierRoot: one, root: nodeHash(two, one), proof: [two] }),
    says: /more hashes/,
  },
  {
    rule: "an earlier state whose proof ends early",
    verify: () => verifyConsistency({ earlier: 1, size: 4, earlierRoot: one, root: one, proof: [] }),
    says: /fewer hashes/,
  },
  {
    rule: "the empty tree beside a proof",
    verify: () => verifyConsistency({ earlier: 0, size: 0, earlierRoot: EMPTY_ROOT, root: EMPTY_ROOT, proof: [one] }),
    says: /nothing can be proved/,
  },
  {
    rule: "the empty subtree beside a proof",
    verify: () => verifySubtreeConsistency({ ...subtree, end: 0, subtreeRoot: EMPTY_ROOT, proof: [one] }),
    says: /needs no proof/,
  },
];
for (const { rule, verify, says } of forged) {
  test(`a proof is refused for ${rule}, though its hashes fit`, () => {
    assert.throws(verify, (error) => error instanceof LogError && error.code === "LOG_PROOF" && says.test(error.message));
  });
}

test("hazard A17: a proof of 100,000 hashes is refused before any is hashed", () => {
  const proof = Array.from({ length: 100_000 }, () => rootAt(1));
  const claim = { index: 2n ** 60n, size: 2n ** 63n, leaf: leafAt(0), root: rootAt(1), proof };
  assert.throws(() => verifyInclusion(claim), { code: "LOG_PROOF", message: /at most 128/ });
});

const logKey = generateKeyPairSync("ed25519");
const witnessKey = generateKeyPairSync("ed25519");
const verifiers = [
  parseVerifierKey(formatVerifierKey("log.example/audit", logKey.publicKey)),
  parseVerifierKey(formatVerifierKey("witness.example", witnessKey.publicKey, "cosignature")),
];
const checkpoint = { origin: "log.example/audit", size: 70n, root: rootAt(70), extensions: ["build 7"] };
const text = formatCheckpoint(checkpoint);
const signed = signNote(text, "log.example/audit", logKey.privateKey);

test("a checkpoint signed by the log and cosigned by a witness opens, with who signed and when", () => {
  const opened = openCheckpoint(signed + cosignNote(text, "witness.example", 1_764_000_000n, witnessKey.privateKey), verifiers);
  assert.deepEqual({ ...opened.checkpoint, root: opened.checkpoint.root.toHex() }, { ...checkpoint, root: rootAt(70).toHex() });
  assert.deepEqual(
    opened.verifiedBy.map(({ name, timestamp }) => [name, timestamp]),
    [
      ["log.example/audit", undefined],
      ["witness.example", 1_764_000_000n],
    ],
  );
});

test("a witness may publish its key in the form for notes", () => {
  const witness = parseVerifierKey(formatVerifierKey("witness.example", witnessKey.publicKey));
  const note = signed + cosignNote(text, "witness.example", 7n, witnessKey.privateKey);
  assert.throws(() => openNote(note, [witness]), refusedWith("LOG_SIGNATURE"));
  assert.equal(openNote(note, [asWitness(witness)]).verifiedBy[0]?.timestamp, 7n);
});

test("hazard A1: a signed checkpoint with any byte changed is refused, or opens to the same text", () => {
  const bytes = Buffer.from(signed);
  for (let at = 0; at < bytes.length; at++) {
    const changed = Uint8Array.from(bytes);
    changed[at] = (bytes[at] ?? 0) ^ 1;
    try {
      assert.equal(openCheckpoint(changed, verifiers).text, text);
    } catch (error) {
      assert(error instanceof LogError, String(error));
    }
  }
});

const refusedNotes = [
  { rule: "without a signature", note: `${text}\n`, code: "LOG_MALFORMED" },
  { rule: "without a blank line", note: signed.replace("\n\n", "\n"), code: "LOG_MALFORMED" },
  { rule: "with CRLF", note: signed.replaceAll("\n", "\r\n"), code: "LOG_MALFORMED" },
  { rule: "whose text was changed", note: signed.replace("\n70\n", "\n71\n"), code: "LOG_SIGNATURE" },
  { rule: "signed under another name", note: signed.replace("— log.example", "— other.example"), code: "LOG_SIGNATURE" },
  { rule: "cut off inside the signature", note: `${signed.slice(0, -13)}\n`, code: "LOG_SIGNATURE" },
  { rule: "with 101 signatures", note: signed + (signed.split("\n\n")[1] ?? "").repeat(100), code: "LOG_MALFORMED" },
];
for (const { rule, note, code } of refusedNotes) {
  test(`openNote refuses a note ${rule}`, () => {
    assert.throws(() => openNote(note, verifiers), refusedWith(code));
  });
}

test("parseCheckpoint refuses sizes with leading zeros, short roots and empty extension lines", () => {
  const root = Buffer.from(rootAt(1)).toString("base64");
  for (const lines of [
    ["o", "07", root],
    ["o", "-1", root],
    ["o", "7", root.slice(4)],
    ["o", "7", root, ""],
    ["", "7", root],
    ["o", "7"],
  ]) {
    assert.throws(() => parseCheckpoint(`${lines.join("\n")}\n`), refusedWith("LOG_MALFORMED"));
  }
});

test("a checkpoint without a last newline is malformed, one that cannot be written is a mistake of the caller", () => {
  assert.throws(() => parseCheckpoint(text.slice(0, -1)), { code: "LOG_MALFORMED", message: /no newline/ });
  for (const change of [{ origin: "" }, { origin: "a\nb" }, { root: new Uint8Array(31) }, { size: -1n }, { extensions: [""] }]) {
    assert.throws(() => formatCheckpoint({ ...checkpoint, ...change }), TypeError);
  }
});

test("a witness's signature must be over this text, at this time, whole", () => {
  const line = cosignNote(text, "witness.example", 1_764_000_000n, witnessKey.privateKey);
  const bytes = Buffer.from(line.trimEnd().split(" ").at(-1) ?? "", "base64");
  const lineWith = (changed: Uint8Array) => `${signed}— witness.example ${Buffer.from(changed).toString("base64")}\n`;
  assert.equal(openNote(lineWith(bytes), verifiers).verifiedBy.length, 2);
  for (let at = 4; at < bytes.length; at++) {
    const changed = Uint8Array.from(bytes);
    changed[at] = (bytes[at] ?? 0) ^ 1;
    assert.throws(() => openNote(lineWith(changed), verifiers), refusedWith("LOG_SIGNATURE"), `byte ${at}`);
  }
  for (const changed of [bytes.subarray(0, 12), bytes.subarray(0, -1), Uint8Array.of(...bytes, 0)]) {
    assert.throws(() => openNote(lineWith(changed), verifiers), refusedWith("LOG_SIGNATURE"));
  }
  assert.throws(() => openNote(`${text.replace("build 7", "build 8")}\n${line}`, verifiers), refusedWith("LOG_SIGNATURE"));
});

const malformedNotes = {
  "a control character": signed.replace("build 7", "build\u00007"),
  "a text that is not Unicode": signed.replace("build 7", "build \ud800"),
  "nothing but a text": text,
  "a signature without a newline": signed.slice(0, -1),
  "no signature behind the blank line": `${text}\nrest\n`,
  "a signature line with a word too many": signed.replace("log.example/audit ", "log.example/audit x "),
  "a signer's name with a plus sign": `${signed.split("\n\n")[0]}\n\n— a+b AAAAAAA=\n`,
  "a signature of four bytes": `${signed.split("\n\n")[0]}\n\n— stranger AAAAAA==\n`,
  "a signature that is not base64": `${signed.split("\n\n")[0]}\n\n— stranger AAAA*AAA\n`,
  "a million characters": `${"a".repeat(1_000_000)}${signed}`,
};
for (const [rule, note] of Object.entries(malformedNotes)) {
  test(`openNote says LOG_MALFORMED to ${rule}`, () => {
    assert.throws(() => openNote(note, verifiers), refusedWith("LOG_MALFORMED"));
  });
}

test("texts that no note may have are not signed", () => {
  for (const wrong of ["no newline", "tab\there\n", "\ud800\n"]) {
    assert.throws(() => signNote(wrong, "log.example/audit", logKey.privateKey), refusedWith("LOG_MALFORMED"));
    assert.throws(() => cosignNote(wrong, "witness.example", 1n, witnessKey.privateKey), refusedWith("LOG_MALFORMED"));
  }
  assert.throws(() => signNote(text, "two words", logKey.privateKey), TypeError);
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  assert.throws(() => signNote(text, "log.example/audit", privateKey), TypeError);
});

test("parseVerifierKey refuses what is no key of a kind it knows", () => {
  const [name, , encoded = ""] = formatVerifierKey("log.example/audit", logKey.publicKey).split(/\+(.*?)\+(.*)/s);
  for (const key of ["", "name", `${name}+0+${encoded}`, `two words+00000000+${encoded}`, "n+00000000+AQ==", "n+00000000+*"]) {
    assert.throws(() => parseVerifierKey(key), refusedWith("LOG_MALFORMED"), key);
  }
  const unknown = Buffer.concat([Uint8Array.of(9), new Uint8Array(32)]);
  const id = createHash("sha256").update("n\n").update(unknown).digest("hex").slice(0, 8);
  assert.throws(() => parseVerifierKey(`n+${id}+${unknown.toString("base64")}`), { message: /algorithm 9/ });
});

test("an edge that lacks a subtree is a mistake of the caller", () => {
  assert.throws(() => appendLeaf({ size: 1, hashes: [] }, leafAt(0)), TypeError);
});

test("parseVerifierKey refuses a key whose hash is another's", () => {
  const key = formatVerifierKey("log.example/audit", logKey.publicKey);
  assert.throws(() => parseVerifierKey(key.replace("log.", "lag.")), refusedWith("LOG_MALFORMED"));
});

test("parseCheckpoint refuses a root whose base64 has another spelling (found by fuzzing)", () => {
  const text = (last: string) => `log.example/1\n1\n${"A".repeat(42)}${last}=\n`;
  assert.equal(formatCheckpoint(parseCheckpoint(text("E"))), text("E"));
  for (const last of ["B", "F", "i", "9", "+", "/"]) assert.throws(() => parseCheckpoint(text(last)), refusedWith("LOG_MALFORMED"));
});

test("openNote and parseCheckpoint give a value or a LogError, whatever the input", () => {
  const nearlyValid = fc
    .tuple(fc.nat(signed.length - 1), fc.string({ maxLength: 3 }))
    .map(([at, piece]) => signed.slice(0, at) + piece + signed.slice(at + 1));
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: "binary", maxLength: 300 }), nearlyValid), (note) => {
      try {
        openCheckpoint(note, verifiers);
      } catch (error) {
        assert(error instanceof LogError, String(error));
      }
    }),
  );
});
