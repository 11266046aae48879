import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

/*
 * The file that goes into every image: a script, and behind it what V8 compiled of it.
 */
const scratch = mkdtempSync(join(tmpdir(), "bundle-"));
const bundle = join(scratch, "main.js");
const bundleTo = (file: string) =>
  execFileSync(process.execPath, [fileURLToPath(new URL("../../../scripts/bundle-runtime.ts", import.meta.url)), file]);
/** A launcher that the host told nothing. */
const start = (file: string) => spawnSync(process.execPath, [file], { encoding: "utf8", env: {} });

before(() => bundleTo(bundle));
after(() => rmSync(scratch, { recursive: true, force: true }));

test("MF-61, L2: the bundle has the same bytes whenever it is made", () => {
  const again = join(scratch, "again.js");
  bundleTo(again);
  assert(readFileSync(bundle).equals(readFileSync(again)));
});

test("the bundle starts, and refuses to do so without settings", () => {
  const { status, stderr } = start(bundle);
  assert.equal(status, 1);
  assert.match(stderr, /^vouchsafe: error: SCONE_CONFIG_ID is ""; expected SESSION\/SERVICE$/m);
});

test("compiled code of another version of V8 is not used: the launcher compiles its source and starts all the same", () => {
  const text = readFileSync(bundle, "latin1");
  const at = text.lastIndexOf("\n//") + 3;
  const compiled = Buffer.from(text.slice(at), "base64");
  compiled.writeUInt32LE(~compiled.readUInt32LE(4) >>> 0, 4); // the hash of the version
  compiled.fill(0, 24);
  const foreign = join(scratch, "foreign.js");
  writeFileSync(foreign, `${text.slice(0, at)}${compiled.toString("base64")}\n`);
  assert.equal(start(foreign).stderr, start(bundle).stderr);
});
