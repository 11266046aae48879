import assert from "node:assert/strict";
import { test } from "node:test";
import { findPathFault, findTreeFault, sortTree } from "./tree.ts";

test("hazard F10: a path has one spelling", () => {
  for (const path of ["/", "/a", "/a/b", "/.hidden", "/a..b", `/${"x".repeat(255)}`, "/a".repeat(2048)])
    assert.equal(findPathFault(path), undefined, path.slice(0, 20));
  const faults: readonly (readonly [path: string, fault: string])[] = [
    ["", "is not absolute"],
    ["ab/c", "is not absolute"],
    ["/\ud800", "is not valid Unicode"],
    ["/a\0", "holds a NUL"],
    [`${"/a".repeat(2048)}b`, "is longer than 4096 bytes"],
    ["//a", "is not normalized"],
    ["/a/", "is not normalized"],
    ["/.", "is not normalized"],
    ["/a/./b", "is not normalized"],
    ["/..", "is not normalized"],
    [`/${"ä".repeat(128)}`, "has a name of more than 255 bytes"],
  ];
  for (const [path, fault] of faults) assert.equal(findPathFault(path), fault, JSON.stringify(path.slice(0, 20)));
});

test("hazard F10: a tree has each path once, and nothing below what is no directory", () => {
  const [directory, file, link] = ["directory", "file", "link"];
  const tree = (...entries: readonly (readonly [kind: string | undefined, path: string])[]) =>
    findTreeFault(entries.map(([kind = "", path]) => ({ kind, path })));
  assert.equal(tree([directory, "/"], [directory, "/a"], [file, "/a/b"], [link, "/a/c"]), undefined);
  assert.equal(tree([file, "/a/b/c"]), undefined, "directories may be implied");
  assert.equal(tree([file, "/"]), "path / is not a directory");
  assert.equal(tree([file, "/a"], [file, "/a"]), 'path "/a" occurs twice');
  assert.equal(tree([file, "a"]), 'path "a" is not absolute');
  assert.equal(tree([file, "/a"], [file, "/a/b/c"]), 'path "/a/b/c" lies below the file "/a"');
  assert.equal(tree([file, "/a/b"], [link, "/a"]), 'path "/a/b" lies below the link "/a"');
});

test("MF-61: the order of a tree is that of the bytes of its paths", () => {
  const paths = ["/a/b", "/a", "/\u{1f600}", "/\uffee", "/a.b"];
  assert.deepEqual(
    sortTree(paths.map((path) => ({ kind: "directory", path }))).map(({ path }) => path),
    ["/a", "/a.b", "/a/b", "/\uffee", "/\u{1f600}"],
  );
});
