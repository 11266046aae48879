import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { hash } from "node:crypto";
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
/** A launcher that the host told nothing. Returns when the process that waits for an order has ended too: it has the same standard error. */
const start = (file: string) => spawnSync(process.execPath, [file], { encoding: "utf8", env: {} });
/** The bundle with other compiled code, under the digest that fits it or the one it had. */
function withCompiled(name: string, change: (compiled: Buffer) => void, isDigestKept: boolean): string {
  const text = readFileSync(bundle, "latin1");
  const at = text.lastIndexOf("\n//") + 3;
  const compiled = Buffer.from(text.slice(at), "base64");
  const digest = hash("sha256", compiled);
  assert.equal(text.split(digest).length, 2, "the loader names the digest once");
  change(compiled);
  const file = join(scratch, name);
  const changed = `${text.slice(0, at)}${compiled.toString("base64")}\n`;
  writeFileSync(file, isDigestKept ? changed : changed.replace(digest, hash("sha256", compiled)));
  return file;
}

before(() => bundleTo(bundle));
after(() => rmSync(scratch, { recursive: true, force: true }));

test("MF-61, L2: the bundle has the same bytes whenever it is made", () => {
  const again = join(scratch, "again.js");
  bundleTo(again);
  assert(readFileSync(bundle).equals(readFileSync(again)));
});

test("the bundle starts, and refuses to do so without settings; the process that waits for an order says nothing", () => {
  const { status, stderr } = start(bundle);
  assert.equal(status, 1);
  assert.equal(
    stderr,
    'vouchsafe: error: SCONE_CONFIG_ID is ""; expected SESSION/SERVICE\nvouchsafe: help: The chart or the engine sets it: install the chart of the mesh.\n',
  );
});

test("compiled code of another version of V8 is not used: the launcher compiles its source and starts all the same", () => {
  const foreign = withCompiled(
    "foreign.js",
    (compiled) => {
      compiled.writeUInt32LE(~compiled.readUInt32LE(4) >>> 0, 4); // the hash of the version
      compiled.fill(0, 24);
    },
    false,
  );
  assert.equal(start(foreign).stderr, start(bundle).stderr);
});

test("damaged compiled code never reaches V8, which does not look for damage", () => {
  const damaged = withCompiled("damaged.js", (compiled) => compiled.fill(0xff, 24), true);
  assert.equal(start(damaged).stderr, start(bundle).stderr);
});

test("compiled code of another Node with the same V8 is not used", () => {
  const file = withCompiled("other-node.js", (compiled) => compiled.fill(0xff, 24), false);
  const own = JSON.stringify(process.version + process.arch);
  const text = readFileSync(file, "latin1");
  assert.equal(text.split(own).length, 2, "the loader names Node once");
  writeFileSync(file, text.replace(own, '"v26.0.0x64"'));
  assert.equal(start(file).stderr, start(bundle).stderr);
});
