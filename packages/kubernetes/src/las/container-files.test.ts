import assert from "node:assert/strict";
import { chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { findChangedByRoot, isOccupiedByImage, type OverlayRoot, resolveInRoot } from "./container-files.ts";

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
