import assert from "node:assert/strict";
import { chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { findChangedByRoot, isOccupiedByImage, type OverlayRoot, readOverlayRoot, resolveInRoot } from "./container-files.ts";

function layers(t: { after: (end: () => void) => void }): OverlayRoot & { readonly lower: string } {
  const base = mkdtempSync(join(tmpdir(), "layers-"));
  t.after(() => rmSync(base, { recursive: true }));
  const [upper, lower] = [join(base, "upper"), join(base, "lower")];
  for (const directory of [upper, lower]) mkdirSync(directory);
  return { upper, lowers: [lower], lower };
}

const links = [
  { what: "an absolute link", make: (root: string) => symlinkSync("/etc/passwd", join(root, "x")), path: "/x", found: "/etc/passwd" },
  { what: "a relative link", make: (root: string) => symlinkSync("etc/../etc/passwd", join(root, "x")), path: "/x", found: "/etc/passwd" },
  {
    what: "a link that climbs above the root",
    make: (root: string) => symlinkSync("../../../../etc/passwd", join(root, "x")),
    path: "/x",
    found: "/etc/passwd",
  },
  { what: "dots that climb above the root", make: () => undefined, path: "/../../etc/passwd", found: "/etc/passwd" },
  { what: "a linked directory", make: (root: string) => symlinkSync("/etc", join(root, "d")), path: "/d/passwd", found: "/etc/passwd" },
  {
    what: "a relative link in a directory",
    make: (root: string) => {
      mkdirSync(join(root, "d"));
      symlinkSync(".././etc/./passwd", join(root, "d/x"));
    },
    path: "/d/./x",
    found: "/etc/passwd",
  },
  {
    what: "an absolute link in a directory",
    make: (root: string) => {
      mkdirSync(join(root, "d"));
      symlinkSync("/etc/passwd", join(root, "d/x"));
    },
    path: "/d//x",
    found: "/etc/passwd",
  },
  { what: "a circle of links", make: (root: string) => symlinkSync("/x", join(root, "x")), path: "/x", found: undefined },
  { what: "nothing", make: () => undefined, path: "/nothing", found: undefined },
];
for (const { what, make, path, found } of links) {
  test(`hazard I5: ${what} is resolved as the container would, and never leaves its root`, (t) => {
    const { lower: root } = layers(t);
    mkdirSync(join(root, "etc"));
    writeFileSync(join(root, "etc/passwd"), "image");
    make(root);
    assert.equal(resolveInRoot(root, path), found === undefined ? undefined : root + found);
  });
}

test("hazard I1: a file that root changed in the container is found; what the container's own user wrote is not", (t) => {
  const root = layers(t);
  mkdirSync(join(root.upper, "tmp"));
  writeFileSync(join(root.upper, "tmp/mine"), "");
  if (process.getuid?.() === 0) chownSync(join(root.upper, "tmp/mine"), 65_532, 65_532);
  else return t.diagnostic("not run: telling owners apart needs root");
  mkdirSync(join(root.upper, "etc"));
  writeFileSync(join(root.upper, "etc/hosts"), ""); // made by the container runtime for its mount
  assert.equal(findChangedByRoot(root, ["/etc/hosts"]), undefined);
  mkdirSync(join(root.upper, "usr/bin"), { recursive: true });
  writeFileSync(join(root.upper, "usr/bin/python3"), "other program");
  assert.equal(findChangedByRoot(root, ["/etc/hosts"]), "/usr/bin/python3");
  return undefined;
});

test("a container that wrote more than can be looked at is not vouched for", (t) => {
  const root = layers(t);
  for (let count = 0; count < 12; count++) mkdirSync(join(root.upper, `d${count}`));
  assert.match(findChangedByRoot(root, [], 10) ?? "", /more than 10 others/);
});

test("a mount hides the image where the image has a file or a directory with content", (t) => {
  const root = layers(t);
  mkdirSync(join(root.lower, "app/code"), { recursive: true });
  writeFileSync(join(root.lower, "app/code/main.py"), "");
  mkdirSync(join(root.lower, "data"));
  const hidden = ["/app", "/app/code", "/app/code/main.py", "/data", "/elsewhere"].filter((path) => isOccupiedByImage(root, path));
  assert.deepEqual(hidden, ["/app", "/app/code", "/app/code/main.py"]);
});

const overlay = (options: string, type = "overlay", at = "/") => `1 0 0:1 / ${at} rw shared:1 - ${type} overlay rw,${options}\n`;
const LAYERS = "lowerdir=/l2:/l1,upperdir=/u,workdir=/w";
const roots: readonly (readonly [what: string, table: string, root: OverlayRoot | undefined])[] = [
  ["an overlay", overlay(LAYERS), { upper: "/host/u", lowers: ["/host/l2", "/host/l1"] }],
  [
    "an overlay among other mounts",
    overlay("", "proc", "/proc") + overlay(LAYERS) + overlay("lowerdir=/x,upperdir=/y", "overlay", "/etc"),
    {
      ...{ upper: "/host/u", lowers: ["/host/l2", "/host/l1"] },
    },
  ],
  ["the last of two roots", overlay("lowerdir=/x,upperdir=/y") + overlay(LAYERS), { upper: "/host/u", lowers: ["/host/l2", "/host/l1"] }],
  [
    "names with blank, comma and colon",
    overlay(String.raw`lowerdir=/a\040b:/c\134:d,upperdir=/u\054v`),
    {
      ...{ upper: "/host/u,v", lowers: ["/host/a b", "/host/c:d"] },
    },
  ],
  ["a root of another kind that has the same options", overlay(LAYERS, "fuse.overlay"), undefined],
  ["an overlay that is mounted elsewhere", overlay(LAYERS, "overlay", "/mnt"), undefined],
  ["an overlay that nobody can write", overlay("lowerdir=/l2:/l1"), undefined],
  ["an overlay without layers of an image", overlay("upperdir=/u"), undefined],
  ["layers at places that nobody knows", overlay("lowerdir=l1,upperdir=/u"), undefined],
  ["a writable layer at a place that nobody knows", overlay("lowerdir=/l1,upperdir=u"), undefined],
  ["no mount at all", "", undefined],
];
for (const [what, table, root] of roots) {
  test(`hazard I1: ${what} ${root === undefined ? "is no root that can be looked into" : "gives the layers of the machine"}`, (t) => {
    const proc = mkdtempSync(join(tmpdir(), "proc-"));
    t.after(() => rmSync(proc, { recursive: true }));
    mkdirSync(join(proc, "7"));
    writeFileSync(join(proc, "7/mountinfo"), table);
    assert.deepEqual(readOverlayRoot(7, { proc, root: "/host" }), root);
  });
}
