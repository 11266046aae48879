import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteWriter } from "./byte-cursor.ts";
import { sealChunks } from "./chunks.ts";
import { keyCheck, manifestKey } from "./keys.ts";
import { openManifest, type ProtectionManifest, sealManifest, tagOf } from "./protection-file.ts";

const key = new Uint8Array(32).fill(7);
const FILE_MAX_BYTES = 256 * 1024 * 1024;
const EMPTY: ProtectionManifest = { chunkLength: 4096, regions: [], entries: [] };

/** A protection file around any list of files, as only who has the key can make it. */
function sealed(manifest: Uint8Array, { chunkLength = 4096, seedOfKey = 0 } = {}): Uint8Array {
  const seed = new Uint8Array(32);
  return new ByteWriter()
    .bytes(Buffer.from("VSFSPF01"))
    .bytes(keyCheck(key))
    .uint(4, chunkLength)
    .bytes(seed)
    .bytes(sealChunks(manifest, manifestKey(key, new Uint8Array(32).fill(seedOfKey)), FILE_MAX_BYTES))
    .finish();
}
const open = (bytes: Uint8Array, tag = tagOf(bytes, key)) => openManifest(bytes, key, Uint8Array.fromHex(tag));

const region = (path: string, protection: number) => new ByteWriter().text(path).uint(1, protection).finish();
const directory = (path: string, mode = 0o755) => new ByteWriter().text(path).uint(1, 1).uint(2, mode).finish();
function manifest(regions: readonly Uint8Array[], entries: readonly Uint8Array[], regionCount = regions.length): Uint8Array {
  const out = new ByteWriter().uint(2, regionCount);
  for (const bytes of regions) out.bytes(bytes);
  out.uint(4, entries.length);
  for (const bytes of entries) out.bytes(bytes);
  return out.finish();
}

test("what is listed comes back as it was listed", () => {
  const bytes = sealed(manifest([region("/a", 0), region("/b", 2)], [directory("/a"), directory("/b", 0o777)]));
  assert.deepEqual(open(bytes), {
    ...{
      chunkLength: 4096,
      regions: [
        { path: "/a", protection: "not-protected" },
        { path: "/b", protection: "encrypted" },
      ],
    },
    entries: [
      { kind: "directory", path: "/a", mode: 0o755 },
      { kind: "directory", path: "/b", mode: 0o777 },
    ],
  });
});

const malformed: readonly (readonly [rule: string, bytes: Uint8Array, message: RegExp])[] = [
  ["more regions than are allowed", sealed(manifest([], [], 1025)), /1025 regions, at most 1024 are allowed/],
  ["a region whose path is none", sealed(manifest([region("a", 0)], [])), /region "a" is not absolute/],
  ["a protection that is none", sealed(manifest([region("/a", 3)], [])), /unknown protection of region \/a/],
  ["regions out of order", sealed(manifest([region("/b", 0), region("/a", 0)], [])), /\/a is out of order/],
  ["a region twice", sealed(manifest([region("/a", 0), region("/a", 2)], [])), /\/a is out of order/],
  ["a kind that is none", sealed(manifest([], [new ByteWriter().text("/a").uint(1, 3).uint(2, 0).finish()])), /unknown kind of \/a/],
  ["a mode that is none", sealed(manifest([], [directory("/a", 0o1000)])), /mode 0o1000 of \/a/],
  ["an entry whose path is none", sealed(manifest([], [directory("/../a")])), /path "\/..\/a" is not normalized/],
  ["entries out of order", sealed(manifest([], [directory("/b"), directory("/a")])), /\/a is out of order/],
  ["bytes behind the list", sealed(Buffer.concat([manifest([], []), Uint8Array.of(0)])), /1 bytes follow the end/],
  ["a chunk length of nothing", sealed(manifest([], []), { chunkLength: 0 }), /chunk length 0 is not a multiple/],
  ["a list under another key than its seed's", sealed(manifest([], []), { seedOfKey: 1 }), /the list of files does not decrypt/],
  ["a file that is too large", new Uint8Array(FILE_MAX_BYTES + 1), /268435457 bytes, at most 268435456 are allowed/],
  ["bytes that are no protection file", new Uint8Array(100), /not a protection file/],
  ["a file that ends before its manifest", sealed(manifest([], [])).subarray(0, 52 + 15), /67 bytes are too few/],
];
for (const [rule, bytes, message] of malformed) {
  test(`hazard F4: ${rule} is refused, even under a valid tag`, () => {
    const tag = bytes.length > FILE_MAX_BYTES ? "00".repeat(16) : tagOf(bytes, key);
    assert.throws(() => open(bytes, tag), { code: "FSPF_MALFORMED", message });
  });
}

test("a tag of another length is no tag", () => {
  assert.throws(() => open(sealManifest(EMPTY, key), "00".repeat(15)), { code: "FSPF_TAG", message: /has 15 bytes, 16 are needed/ });
});

test("chunks have a multiple of 4 KiB up to 1 MiB", () => {
  for (const chunkLength of [4096, 1024 * 1024]) assert.equal(open(sealManifest({ ...EMPTY, chunkLength }, key)).chunkLength, chunkLength);
  for (const chunkLength of [0, 2048, 4097, 1024 * 1024 + 4096])
    assert.throws(() => sealManifest({ ...EMPTY, chunkLength }, key), { code: "FSPF_MALFORMED", message: /is not a multiple of 4096/ });
});
