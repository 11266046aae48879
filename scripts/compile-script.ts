/**
 * A script together with what V8 compiled of it, in one readable file: the launcher is started for every container, and compiling
 * it would be a tenth of each start. V8 takes compiled code only if its version, its flags and the length of the source fit; otherwise it
 * compiles the source as usual.
 */
import { spawnSync } from "node:child_process";
import { hash } from "node:crypto";

/*
 * All functions are compiled: a start needs most of them, and compiling those one by one when they are called first would be a tenth of it. So that the
 * bytes are the same each time: V8 compiles on one thread (what its other threads have finished shows), orders its tables by a seed that else differs
 * in each process, and forgets nothing that was not called for a while.
 */
const COMPILE = ["--no-lazy", "--predictable", "--hash-seed=1", "--no-flush-bytecode", "-e"];
const COMPILE_SCRIPT = `const source = require("node:fs").readFileSync(0, "latin1");
const script = new (require("node:vm").Script)(source);
script.runInThisContext()(require, module);
process.stdout.write(script.createCachedData());`;

/*
 * V8 notes the flags it compiled under, and takes the code under the same flags only, although none of ours changes what the code is. So the mark of
 * a process without flags takes the place of theirs. Header (v8/src/snapshot/code-serializer.h): u32 magic number, version, source, flags, length of the
 * payload, checksum of the payload.
 */
const FLAGS_OFFSET = 12;
const HEADER_BYTES = 24;
const PLAIN_SCRIPT = 'process.stdout.write(new (require("node:vm").Script)("0").createCachedData());';

function runNode(args: readonly string[], input: string): Buffer {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { input, env: {}, maxBuffer: 64 * 1024 * 1024 });
  if (status !== 0) throw new Error(`${process.execPath} ${args[0]} ended with ${status}: ${stderr}`);
  return stdout;
}

/** What V8 makes of `source`, the same bytes each time. Only for the Node that runs this. */
function compile(source: string): Uint8Array {
  const compiled = runNode([...COMPILE, COMPILE_SCRIPT], source);
  const plain = runNode(["-e", PLAIN_SCRIPT], "");
  if (compiled.length <= HEADER_BYTES) throw new Error("V8 gave no compiled code");
  plain.copy(compiled, FLAGS_OFFSET, FLAGS_OFFSET, FLAGS_OFFSET + 4);
  return compiled;
}

/*
 * The loader is all of the file that Node compiles: the rest are comments. Each line of the source stands behind "//", the last such line is the
 * compiled code. V8 tells versions of itself apart, but neither Node's changes to one of them nor damaged bytes, so the loader gives it only what
 * this very Node has made, whole.
 */
const takeApart = (digest: string) => `const [begin, end] = [text.indexOf("\\n//"), text.lastIndexOf("\\n//")];
const source = text.slice(begin, end).replaceAll("\\n//", "\\n");
const compiled = Buffer.from(text.slice(end + 3), "base64");
const fits = process.version + process.arch === ${JSON.stringify(process.version + process.arch)} && require("node:crypto").hash("sha256", compiled) === "${digest}";
const { Script } = require("node:vm");
const script = new Script(source, { filename: __filename, ...(fits ? { cachedData: compiled } : {}) });
`;
/*
 * A launcher runs most functions a few times and then waits, so it is interpreted: V8's compilers would cost a tenth of a start, and 6 MiB for as long
 * as the process lives. Regular expressions are compiled once instead of twice. V8 takes what was compiled of Node's own modules under the same
 * flags only, so these modules are loaded before.
 */
const INTERPRET = ["--no-sparkplug", "--no-maglev", "--no-turbofan", "--no-regexp-tier-up"];
const loader = (digest: string, modules: readonly string[]) => `"use strict";
const text = require("node:fs").readFileSync(__filename, "latin1");
${takeApart(digest)}for (const name of ${JSON.stringify(modules)}) require(name);
for (const flag of ${JSON.stringify(INTERPRET)}) require("node:v8").setFlagsFromString(flag);
script.runInThisContext()(require, module);
module.exports.main(process.argv);`;
const checkScript = (digest: string) => `const text = require("node:fs").readFileSync(0, "latin1");
${takeApart(digest).replace("__filename", '"main.js"')}if (script.cachedDataRejected !== false) throw new Error("V8 does not take the code that it compiled");`;

/**
 * A CommonJS script of ASCII characters as a file that starts fast under this version of Node, and starts under every other. The script exports `main`,
 * which gets `process.argv`. `modules`: the modules of Node that it imports.
 */
export function compileScript(script: string, modules: readonly string[]): string {
  if (/[^\n\x20-\x7e\t]/.test(script)) throw new TypeError("only printable ASCII can be put into comments");
  const source = `\n(function (require, module) {${script.trimEnd()}\n})`;
  const compiled = compile(source);
  const digest = hash("sha256", compiled);
  const file = `${loader(digest, modules)}${source.replaceAll("\n", "\n//")}\n//${compiled.toBase64()}\n`;
  runNode(["-e", checkScript(digest)], file); // else every start would compile it again, and nobody would notice
  return file;
}
