import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { sealChunks } from "./chunks.ts";
import { type DecryptedTree, decryptTree, type EncryptedTree, encryptTree, openProtectedDirectory } from "./encrypted-tree.ts";
import { FileshieldError } from "./fileshield-error.ts";
import { keyCheck, manifestKey } from "./keys.ts";
import { openManifest, type Region, tagOf } from "./protection-file.ts";
import type { TreeEntry } from "./tree.ts";

const key = new Uint8Array(32).fill(7);
const text = (value: string) => new TextEncoder().encode(value);
const file = (path: string, bytes: Uint8Array | string): TreeEntry => ({
  kind: "file",
  path,
  mode: 0o644,
  bytes: typeof bytes === "string" ? text(bytes) : bytes,
});
const sample: readonly TreeEntry[] = [
  { kind: "directory", path: "/srv", mode: 0o755 },
  file("/srv/app.py", "print('the secret recipe')\n"),
  file("/srv/empty", ""),
  file(
    "/srv/large.bin",
    new Uint8Array(10_000).map((_, index) => index),
  ),
  { kind: "link", path: "/srv/link", target: "app.py" },
];
const options = { chunkLength: 4096 };

function open(tree: EncryptedTree, tag = tree.tag, volumeKey = key): DecryptedTree {
  return decryptTree(
    {
      readProtectionFile: () => tree.protectionFile,
      readBlob: (name) => {
        const blob = tree.blobs.get(name);
        if (blob === undefined) throw new Error("ENOENT");
        return blob;
      },
    },
    volumeKey,
    tag,
  );
}
const withBlob = (tree: EncryptedTree, name: string, bytes: Uint8Array | undefined): EncryptedTree => {
  const blobs = new Map(tree.blobs);
  if (bytes === undefined) blobs.delete(name);
  else blobs.set(name, bytes);
  return { ...tree, blobs };
};
const flipped = (bytes: Uint8Array, at: number): Uint8Array => bytes.map((byte, index) => (index === at ? byte ^ (1 << (at % 8)) : byte));
const blobOf = (tree: EncryptedTree, path: string): string => {
  const entry = openManifest(tree.protectionFile, key, Uint8Array.fromHex(tree.tag)).entries.find((one) => one.path === path);
  assert(entry?.kind === "file");
  return entry.blob;
};

test("a tree comes back as it went in, in canonical order", () => {
  const tree = encryptTree([...sample].reverse(), key, options);
  assert.deepEqual(open(tree).entries, sample);
});

test("MF-61: the same tree and key give the same bytes, whatever the order; another key gives others", () => {
  const tree = encryptTree(sample, key, options);
  assert.deepEqual(encryptTree([...sample].reverse(), key, options), tree);
  const other = encryptTree(sample, new Uint8Array(32).fill(8), options);
  assert.notEqual(other.tag, tree.tag);
  for (const name of tree.blobs.keys()) assert(!other.blobs.has(name));
});

test("C-94: regions come back as they went in, those that are authenticated with the digest of their list", () => {
  const regions: Region[] = [
    { path: "/", protection: "not-protected" },
    { path: "/srv", protection: "encrypted" },
    { path: "/usr", protection: "authenticated", digest: new Uint8Array(32).fill(5) },
  ];
  const tree = encryptTree(sample, key, { ...options, regions: regions.toReversed() });
  assert.deepEqual(open(tree).regions, regions);
  for (const digest of [{}, { digest: new Uint8Array(31) }])
    assert.throws(() => encryptTree(sample, key, { regions: [{ path: "/usr", protection: "authenticated", ...digest }] }), TypeError);
});

test("hazard G9: neither content, nor names, nor digests are readable", () => {
  const tree = encryptTree(sample, key, options);
  const stored = Buffer.concat([tree.protectionFile, ...tree.blobs.values()]);
  for (const secret of ["secret recipe", "app.py", "/srv", "large.bin"]) assert.equal(stored.indexOf(secret), -1, secret);
});

test("hazard F9: an edited file shares neither key stream nor name with its predecessor", () => {
  const before = encryptTree([file("/a", new Uint8Array(5000))], key, options);
  const after = encryptTree([file("/a", new Uint8Array(5000).fill(1, 4999))], key, options);
  const [one] = before.blobs.values();
  const [two] = after.blobs.values();
  assert(one !== undefined && two !== undefined);
  assert.notEqual(blobOf(before, "/a"), blobOf(after, "/a"));
  // With a shared key stream the first 4096 bytes, equal in both, would be equal ciphertext.
  assert.notDeepEqual(one.subarray(0, 64), two.subarray(0, 64));
});

test("hazard F9: equal content at two paths is encrypted differently", () => {
  const tree = encryptTree([file("/a", "same"), file("/b", "same")], key, options);
  const [one, two] = [...tree.blobs.values()];
  assert.notDeepEqual(one, two);
});

test("hazard F1: each flipped byte of each stored file is refused", () => {
  const tree = encryptTree(sample.slice(0, 3), key, options);
  for (let at = 0; at < tree.protectionFile.length; at++) {
    assert.throws(() => open({ ...tree, protectionFile: flipped(tree.protectionFile, at) }), { name: "FileshieldError" }, `byte ${at}`);
  }
  for (const [name, blob] of tree.blobs) {
    for (let at = 0; at < blob.length; at++)
      assert.throws(() => open(withBlob(tree, name, flipped(blob, at))), { code: "FSPF_FILE" }, `byte ${at}`);
  }
});

test("hazard F2: swapped blocks, files and trees are refused", () => {
  const tree = encryptTree([...sample, file("/srv/twin.bin", new Uint8Array(10_000).fill(3))], key, options);
  const large = blobOf(tree, "/srv/large.bin");
  const twin = blobOf(tree, "/srv/twin.bin");
  const bytes = tree.blobs.get(large) ?? new Uint8Array();
  const stride = 4096 + 16;
  const swappedBlocks = Buffer.concat([bytes.subarray(stride, 2 * stride), bytes.subarray(0, stride), bytes.subarray(2 * stride)]);
  assert.throws(() => open(withBlob(tree, large, swappedBlocks)), { code: "FSPF_FILE", message: /large\.bin was changed/ });
  assert.throws(() => open(withBlob(withBlob(tree, large, tree.blobs.get(twin)), twin, bytes)), { code: "FSPF_FILE" });
  const elsewhere = encryptTree([file("/srv/other", "x")], key, options);
  assert.throws(() => open({ ...tree, protectionFile: elsewhere.protectionFile }), { code: "FSPF_TAG", message: /older or newer copy/ });
});

test("truncated, lengthened and absent files are refused", () => {
  const tree = encryptTree(sample, key, options);
  const name = blobOf(tree, "/srv/large.bin");
  const bytes = tree.blobs.get(name) ?? new Uint8Array();
  for (const length of [0, 15, 16, 4112, bytes.length - 16, bytes.length - 1])
    assert.throws(() => open(withBlob(tree, name, bytes.subarray(0, length))), { code: "FSPF_FILE" }, `${length} bytes`);
  assert.throws(() => open(withBlob(tree, name, Buffer.concat([bytes, new Uint8Array(1)]))), {
    ...{ code: "FSPF_FILE", message: `protected file /srv/large.bin has ${bytes.length + 1} stored bytes, ${bytes.length} are expected` },
  });
  assert.throws(() => open(withBlob(tree, name, undefined)), { code: "FSPF_FILE", message: /large\.bin cannot be read/ });
  for (const length of [0, 8, 51, 67, tree.protectionFile.length - 1])
    assert.throws(() => open({ ...tree, protectionFile: tree.protectionFile.subarray(0, length) }), FileshieldError, `${length} bytes`);
});

test("C-55, hazard F3: an older copy of the whole tree is refused, and said to be one, with the expected and the found tag", () => {
  const older = encryptTree([file("/a", "one")], key, options);
  const newer = encryptTree([file("/a", "two")], key, options);
  const message = new RegExp(`in the state ${older.tag}, not in the expected state ${newer.tag}: an older or newer copy`);
  assert.throws(() => open(older, newer.tag), { code: "FSPF_TAG", message });
  assert.throws(() => open({ ...newer, blobs: older.blobs }), { code: "FSPF_FILE" });
});

test("hazard F4: an edited header is refused: parameters count only under the tag", () => {
  const tree = encryptTree(sample, key, options);
  const edited = Uint8Array.from(tree.protectionFile);
  new DataView(edited.buffer).setUint32(16, 8192);
  assert.throws(() => open({ ...tree, protectionFile: edited }), { code: "FSPF_TAG" });
  const version = Uint8Array.from(tree.protectionFile);
  version.set(text("02"), 6);
  assert.throws(() => open({ ...tree, protectionFile: version }), { code: "FSPF_MALFORMED", message: /format version/ });
});

test("another key is named as such", () => {
  const tree = encryptTree(sample, key, options);
  assert.throws(() => open(tree, tree.tag, new Uint8Array(32)), { code: "FSPF_KEY", message: /another key/ });
  assert.throws(() => open(tree, tree.tag, new Uint8Array(16)), { code: "FSPF_KEY", message: /32 are needed/ });
  assert.throws(() => encryptTree(sample, new Uint8Array(16)), { code: "FSPF_KEY", message: /has 16 bytes, 32 are needed/ });
});

const impossible = [
  { rule: "a relative path", entries: [file("a", "")] },
  { rule: "a path upwards", entries: [file("/a/../b", "")] },
  { rule: "a path twice", entries: [file("/a", ""), file("/a", "x")] },
  { rule: "a file below a link", entries: [{ kind: "link", path: "/a", target: "/etc" } as const, file("/a/passwd", "")] },
  { rule: "a file below a file", entries: [file("/a", ""), file("/a/b", "")] },
  {
    rule: "a file below a link, with a name sorted between",
    entries: [{ kind: "link", path: "/a", target: "/" } as const, file("/a.b", ""), file("/a/b", "")],
  },
  { rule: "a name of more than 255 bytes", entries: [file(`/${"x".repeat(256)}`, "")] },
  { rule: "a NUL in a name", entries: [file("/a\0b", "")] },
  { rule: "a name that is no Unicode", entries: [file("/\ud800", "")] },
];
for (const { rule, entries } of impossible) {
  test(`hazard F10: encryptTree refuses ${rule}`, () => {
    assert.throws(() => encryptTree(entries, key), { code: "FSPF_ENTRY" });
  });
}

test("hazard F10: long names, newlines and other scripts survive", () => {
  const entries = [file(`/${"x".repeat(255)}`, "1"), file("/a\nb", "2"), file("/Straße/世界", "3")];
  const tree = encryptTree(entries, key);
  assert.deepEqual(new Set(open(tree).entries.map(({ path }) => path)), new Set(entries.map(({ path }) => path)));
});

test("any tree survives the round trip, across chunk borders", () => {
  const name = fc.stringMatching(/^[a-z.]{1,6}$/).filter((value) => value !== "." && value !== "..");
  const files = fc.uniqueArray(fc.tuple(name, fc.nat(3 * 4096 + 1), fc.nat(255)), { maxLength: 5, selector: ([one]) => one });
  fc.assert(
    fc.property(files, (list) => {
      const entries = list.map(([path, size, fill]) => file(`/${path}`, new Uint8Array(size).fill(fill)));
      const tree = encryptTree(entries, key, options);
      assert.deepEqual(new Map(open(tree).entries.map((one) => [one.path, one])), new Map(entries.map((one) => [one.path, one])));
    }),
    { numRuns: 40 },
  );
});

test("openManifest accepts or says FSPF_…, whatever the list of files, even under a valid tag", () => {
  const seed = new Uint8Array(32);
  const sealed = (manifest: Uint8Array): Uint8Array =>
    Buffer.concat([
      Buffer.from("VSFSPF01"),
      keyCheck(key),
      Uint8Array.of(0, 0, 16, 0),
      seed,
      sealChunks(manifest, manifestKey(key, seed), 256 * 1024 * 1024),
    ]);
  const valid = Buffer.from(`000100012f020000000100022f610001a4000000000001${"00".repeat(48)}`, "hex");
  assert.equal(openManifest(sealed(valid), key, Uint8Array.fromHex(tagOf(sealed(valid), key))).entries.length, 1);
  const nearlyValid = fc.tuple(fc.nat(valid.length - 1), fc.nat(255)).map(([at, value]) => Uint8Array.from(valid).fill(value, at, at + 1));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), nearlyValid), (manifest) => {
      const bytes = sealed(manifest);
      try {
        openManifest(bytes, key, Uint8Array.fromHex(tagOf(bytes, key)));
      } catch (error) {
        assert(error instanceof FileshieldError && error.code === "FSPF_MALFORMED", String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

test("a released sample of format 01 is read for ever", () => {
  // Made by this package on 2026-11-25 from { "/srv/a": "hello" } with the key 32 × 0x07.
  const released: EncryptedTree = {
    protectionFile: Uint8Array.fromHex(
      "56534653504630310a8185834adf2bcd00010000008c2006a161d4884584a17869973490c0ac5c38ae1df5c133e98130216f9ea583521fe5f1ea1171e17799721c99cfdd6f8bd736970f90b24d54eaf6b1f35a986ef0ab22c44be36d88adaaf5b77ccdb88657d4b190cbcf666b884423c28d89f5ac3621add56c05eb3bce02f2b981ae680ac810b7a7e5a3",
    ),
    blobs: new Map([["16d41efb9ff814fd4a4fda7c5c2d51e5", Uint8Array.fromHex("7e08bc36bcb899b153cfb443db76a8d52cb78589e8")]]),
    tag: "0fac50446d55d7d9aa6e240599b46064",
  };
  assert.deepEqual(open(released).entries, [file("/srv/a", "hello")]);
  assert.deepEqual(encryptTree([file("/srv/a", "hello")], key), released);
});

test("openProtectedDirectory reads what lies beside the protection file", (context) => {
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-fileshield-"));
  context.after(() => rmSync(directory, { recursive: true }));
  const tree = encryptTree(sample, key);
  mkdirSync(join(directory, "code"));
  writeFileSync(join(directory, "code.fspf"), tree.protectionFile);
  for (const [name, blob] of tree.blobs) writeFileSync(join(directory, "code", name), blob);
  const reader = openProtectedDirectory(join(directory, "code.fspf"));
  assert.deepEqual(
    decryptTree(reader, key, tree.tag).entries.map((entry) =>
      entry.kind === "file" ? Buffer.from(entry.bytes).toString("hex") : entry.path,
    ),
    sample.map((entry) => (entry.kind === "file" ? Buffer.from(entry.bytes).toString("hex") : entry.path)),
  );
  const absent = openProtectedDirectory(join(directory, "none.fspf"));
  assert.throws(() => decryptTree(absent, key, tree.tag), { code: "FSPF_FILE", message: /cannot be read/ });
});
