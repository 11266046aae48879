import assert from "node:assert/strict";
import { existsSync, lstatSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { ImageError } from "./image-error.ts";
import { LocalRepository } from "./local-repository.ts";
import { type ArchiveEntry, packArchive, storeImage, temporaryDirectory } from "./testing/small-image.ts";
import { unpackImage } from "./unpack.ts";

const REFERENCE = "vouchsafe.local/sample:1";

for (const compression of ["gzip", "zstd", "none"] as const) {
  test(`an image with ${compression} layers is unpacked: files, modes, links, whiteouts`, async (context) => {
    const directory = temporaryDirectory(context);
    const lower = await packArchive([
      [{ name: "usr/", type: "directory", mode: 0o555 }],
      [{ name: "usr/bin/", type: "directory", mode: 0o755 }],
      [{ name: "usr/bin/tool", mode: 0o4711 }, "program"],
      [{ name: "bin", type: "symlink", linkname: "usr/bin" }],
      [{ name: "usr/bin/twin", type: "link", linkname: "usr/bin/tool" }],
      [{ name: "etc/removed" }, "x"],
      [{ name: "etc/kept" }, "x"],
      [{ name: "opt/a/old" }, "x"],
    ]);
    const upper = await packArchive([
      [{ name: "etc/.wh.removed" }],
      [{ name: "opt/a/.wh..wh..opq" }],
      [{ name: "opt/a/new" }, "y"],
      [{ name: "bin/second" }, "through the link of the lower layer"],
    ]);
    const digest = await storeImage(directory, REFERENCE, [lower, upper], { compression });
    const root = join(directory, "root");
    assert.deepEqual(await unpackImage(directory, REFERENCE, root), { digest, directory: root });
    assert.equal(readFileSync(join(root, "usr/bin/tool"), "utf8"), "program");
    assert.equal(lstatSync(join(root, "usr/bin/tool")).mode & 0o7777, 0o711, "no set-user-ID");
    assert.equal(lstatSync(join(root, "usr/bin/twin")).ino, lstatSync(join(root, "usr/bin/tool")).ino);
    assert.equal(readlinkSync(join(root, "bin")), "usr/bin");
    assert.equal(readFileSync(join(root, "usr/bin/second"), "utf8"), "through the link of the lower layer");
    assert(existsSync(join(root, "etc/kept")) && !existsSync(join(root, "etc/removed")));
    assert(existsSync(join(root, "opt/a/new")) && !existsSync(join(root, "opt/a/old")));
  });
}

const hostile: readonly { readonly rule: string; readonly entries: readonly ArchiveEntry[]; readonly says: RegExp }[] = [
  { rule: "a name upwards", entries: [[{ name: "../canary" }, "x"]], says: /leads outside/ },
  { rule: "a name upwards in the middle", entries: [[{ name: "a/../../canary" }, "x"]], says: /leads outside/ },
  { rule: "an absolute name", entries: [[{ name: "/tmp/canary" }, "x"]], says: /absolute name/ },
  { rule: "a whiteout of the parent", entries: [[{ name: "a/.wh..." }]], says: /whiteout/ },
  { rule: "a hard link outside", entries: [[{ name: "leak", type: "link", linkname: "../canary" }]], says: /leads outside/ },
  { rule: "a hard link to nothing", entries: [[{ name: "leak", type: "link", linkname: "etc/none" }]], says: /no file of the image/ },
  { rule: "a block device", entries: [[{ name: "dev/sda", type: "block-device", devmajor: 8, devminor: 0 }]], says: /type block-device/ },
  {
    rule: "a character device",
    entries: [[{ name: "dev/mem", type: "character-device", devmajor: 1, devminor: 1 }]],
    says: /type character-device/,
  },
  { rule: "a FIFO", entries: [[{ name: "pipe", type: "fifo" }]], says: /type fifo/ },
  {
    rule: "a file below a file",
    entries: [
      [{ name: "a" }, "x"],
      [{ name: "a/b" }, "x"],
    ],
    says: /below the file/,
  },
  {
    rule: "links in a circle",
    entries: [[{ name: "a", type: "symlink", linkname: "b" }], [{ name: "b", type: "symlink", linkname: "a" }], [{ name: "a/x" }, "x"]],
    says: /too many links/,
  },
  { rule: "a link without target", entries: [[{ name: "a", type: "symlink", linkname: "" }]], says: /without target/ },
];
for (const { rule, entries, says } of hostile) {
  test(`hazard G1: a layer with ${rule} is refused, and nothing is left`, async (context) => {
    const directory = temporaryDirectory(context);
    writeFileSync(join(directory, "canary"), "alive");
    await storeImage(directory, REFERENCE, [await packArchive(entries)]);
    await assert.rejects(unpackImage(directory, REFERENCE, join(directory, "root")), {
      name: "ImageError",
      code: "E-IMAGE-LAYER",
      message: says,
    });
    assert.equal(readFileSync(join(directory, "canary"), "utf8"), "alive");
    assert(!existsSync(join(directory, "root")));
  });
}

test("hazard G1: links that point outside are contained: what is written through them stays in the root", async (context) => {
  const directory = temporaryDirectory(context);
  const outside = join(directory, "outside");
  mkdirSync(outside);
  writeFileSync(join(outside, "canary"), "alive");
  await storeImage(directory, REFERENCE, [
    await packArchive([
      [{ name: "absolute", type: "symlink", linkname: outside }],
      [{ name: "absolute/canary" }, "dead"],
      [{ name: "upwards", type: "symlink", linkname: "../../../../../../../../../.." }],
      [{ name: "upwards/landed" }, "inside"],
      [{ name: "first", type: "symlink", linkname: "upwards" }],
      [{ name: "first/.wh.canary" }],
      [{ name: "file", type: "symlink", linkname: join(outside, "canary") }],
      [{ name: "file" }, "replaces the link"],
    ]),
  ]);
  const root = join(directory, "root");
  await unpackImage(directory, REFERENCE, root);
  assert.equal(readFileSync(join(outside, "canary"), "utf8"), "alive");
  assert.equal(readFileSync(join(root, "landed"), "utf8"), "inside");
  assert.equal(readFileSync(join(root, outside, "canary"), "utf8"), "dead");
  assert.equal(readFileSync(join(root, "file"), "utf8"), "replaces the link");
});

test("a flipped byte in a layer is refused, wherever it is", async (context) => {
  const directory = temporaryDirectory(context);
  const repository = new LocalRepository(directory);
  await storeImage(directory, REFERENCE, [await packArchive([[{ name: "a" }, "content"]])]);
  const image = await repository.read(REFERENCE);
  const path = repository.blobs.pathOf(image?.manifest.layers[0]?.digest ?? "");
  const bytes = readFileSync(path);
  for (let at = 0; at < bytes.length; at++) {
    writeFileSync(
      path,
      bytes.map((byte, index) => (index === at ? byte ^ 0x10 : byte)),
    );
    await assert.rejects(unpackImage(directory, REFERENCE, join(directory, "root")), { code: "E-IMAGE-LAYER" }, `byte ${at}`);
    assert(!existsSync(join(directory, "root")));
  }
  writeFileSync(path, bytes.subarray(0, bytes.length - 1));
  await assert.rejects(unpackImage(directory, REFERENCE, join(directory, "root")), { code: "E-IMAGE-LAYER" });
});

test("a changed manifest or config, and a config that names another archive, are refused", async (context) => {
  const directory = temporaryDirectory(context);
  const repository = new LocalRepository(directory);
  const archive = await packArchive([[{ name: "a" }, "content"]]);
  await storeImage(directory, REFERENCE, [archive], { lie: () => `sha256:${"0".repeat(64)}` });
  await assert.rejects(unpackImage(directory, REFERENCE, join(directory, "root")), { code: "E-IMAGE-LAYER", message: /another archive/ });
  const digest = await storeImage(directory, REFERENCE, [archive]);
  const manifest = repository.blobs.pathOf(digest);
  writeFileSync(manifest, readFileSync(manifest, "utf8").replace("{", "{ "));
  await assert.rejects(unpackImage(directory, REFERENCE, join(directory, "root")), { code: "E-IMAGE-PULL", message: /changed on disk/ });
});

test("hazard G2: an archive that expands without end is stopped", async (context) => {
  const directory = temporaryDirectory(context);
  // 512 MiB of zeros in some kilobytes, by a format that compresses far better than deflate.
  const pack = await packArchive([[{ name: "zeros" }, "\0".repeat(400 * 1024 * 1024)]]);
  await storeImage(directory, REFERENCE, [pack], { compression: "zstd" });
  await assert.rejects(unpackImage(directory, REFERENCE, join(directory, "root")), { code: "E-IMAGE-LAYER", message: /expands to more/ });
});

test("unpackImage unpacks or says E-IMAGE-…, whatever the archive, and touches nothing outside", async (context) => {
  const directory = temporaryDirectory(context);
  writeFileSync(join(directory, "canary"), "alive");
  const valid = await packArchive([
    [{ name: "a/", type: "directory" }],
    [{ name: "a/b" }, "content"],
    [{ name: "l", type: "symlink", linkname: "a/b" }],
  ]);
  const nearlyValid = fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 }).map((edits) => {
    const bytes = Uint8Array.from(valid);
    for (const [at, value] of edits) bytes[at] = value;
    return bytes;
  });
  let run = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.oneof({ weight: 4, arbitrary: nearlyValid }, { weight: 1, arbitrary: fc.uint8Array({ maxLength: 2048 }) }),
      async (archive) => {
        const reference = `vouchsafe.local/fuzz:${run++}`;
        await storeImage(directory, reference, [archive], { compression: "none" });
        try {
          await unpackImage(directory, reference, join(directory, `root-${run}`));
        } catch (error) {
          assert(error instanceof ImageError && error.code === "E-IMAGE-LAYER", String(error));
        }
        assert.equal(readFileSync(join(directory, "canary"), "utf8"), "alive");
      },
    ),
    { numRuns: 150 },
  );
});
