import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parseImageDescription, readImageDescription } from "./image-description.ts";

const described = {
  ...{ format: 1, platformVersion: "1.2", mode: "production", user: { uid: 1000, gid: 100 }, environment: { LANG: "C" } },
  searchPath: ["/usr/bin", "/bin"],
  diversions: [{ path: "/usr/bin/python3", original: "/vouchsafe/original/python3" }],
  hostPaths: ["/data"],
  fileSystem: { tag: "0f".repeat(16), more: 1 },
  more: true,
};
const parse = (change: object) => parseImageDescription(JSON.stringify({ ...described, ...change }), "x.json");

test("an image's description says who its program is, and what its launcher needs", () => {
  const { format: _format, more: _more, fileSystem, ...rest } = described;
  assert.deepEqual(parse({}), { ...rest, fileSystemTag: fileSystem.tag });
  assert.deepEqual(parse({ hostPaths: undefined }).hostPaths, []);
  for (const none of [undefined, null, [], {}]) assert.equal(parse({ fileSystem: none }).fileSystemTag, undefined, JSON.stringify(none));
});

const refused: readonly (readonly [change: object, message: string])[] = [
  [{ format: 2 }, "format must be 1"],
  [{ platformVersion: 1 }, "platformVersion and mode must be texts"],
  [{ mode: undefined }, "platformVersion and mode must be texts"],
  [{ user: "root" }, "user must have uid and gid"],
  [{ user: { uid: 1000 } }, "user must have uid and gid"],
  [{ user: { gid: 1000 } }, "user must have uid and gid"],
  [{ user: { uid: 1.5, gid: 1000 } }, "user must have uid and gid"],
  [{ environment: [] }, "environment must map names to texts"],
  [{ environment: { A: 1 } }, "environment must map names to texts"],
  [{ searchPath: "/bin" }, "searchPath must be a list of texts"],
  [{ searchPath: [1] }, "searchPath must be a list of texts"],
  [{ hostPaths: "/data" }, "hostPaths must be a list of texts"],
  [{ hostPaths: [1] }, "hostPaths must be a list of texts"],
  [{ diversions: {} }, "diversions must be a list"],
  [{ diversions: [null] }, "a diversion must have path and original"],
  [{ diversions: [{ path: "/a" }] }, "a diversion must have path and original"],
  [{ diversions: [{ original: "/a" }] }, "a diversion must have path and original"],
  [{ fileSystem: { tag: "0f".repeat(15) } }, "fileSystem.tag must have 32 hex digits"],
  [{ fileSystem: { tag: `${"0f".repeat(16)}0` } }, "fileSystem.tag must have 32 hex digits"],
  [{ fileSystem: { tag: [`${"0f".repeat(16)}`] } }, "fileSystem.tag must have 32 hex digits"],
];
for (const [change, message] of refused) {
  test(`an image description with ${JSON.stringify(change)} is refused`, () => {
    assert.throws(() => parse(change), { code: "R-IMAGE", message: `x.json: ${message}` });
  });
}

test("what is no object, no JSON or no file is no description", (t) => {
  for (const text of ["null", "[]", "1"])
    assert.throws(() => parseImageDescription(text, "x.json"), { code: "R-IMAGE", message: "x.json: format must be 1" }, text);
  assert.throws(() => parseImageDescription("{", "x.json"), { code: "R-IMAGE", message: "x.json is not JSON" });
  const directory = mkdtempSync(join(tmpdir(), "description-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, "service.json");
  assert.throws(() => readImageDescription(file), { code: "R-IMAGE", message: `${file} cannot be read` });
  const text = JSON.stringify(described);
  writeFileSync(file, text.padEnd(4 * 1024 * 1024));
  assert.equal(readImageDescription(file).mode, "production");
  writeFileSync(file, text.padEnd(4 * 1024 * 1024 + 1));
  assert.throws(() => readImageDescription(file), { code: "R-IMAGE", message: `${file} has more than 4194304 bytes` });
});
