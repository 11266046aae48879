import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { findInterpreter, setInterpreter, stripElf } from "./elf.ts";
import { ImageError } from "./image-error.ts";
import { RUNTIME, renderLauncher } from "./launcher.ts";
import { temporaryDirectory } from "./testing/small-image.ts";

test("MF-68: the launcher starts the runtime with the arguments and none of the host's dangerous variables", (context) => {
  const root = temporaryDirectory(context, "launcher");
  for (const directory of ["vouchsafe/runtime/bin", "bin", "usr", "lib", "lib64"]) mkdirSync(join(root, directory), { recursive: true });
  writeFileSync(join(root, "launcher"), renderLauncher());
  chmodSync(join(root, "launcher"), 0o711);
  // A stand-in for Node that shows what it got. The machine's shell and libraries are bound into the root.
  writeFileSync(join(root, "vouchsafe/runtime/bin/node"), '#!/bin/sh\nfor a; do echo "argument $a"; done\nexec /usr/bin/env\n');
  chmodSync(join(root, "vouchsafe/runtime/bin/node"), 0o755);
  const script = 'for d in bin usr lib lib64; do [ -d /$d ] && mount --rbind /$d "$1/$d"; done; exec chroot "$1" /launcher one "two words"';
  const env = {
    PATH: process.env["PATH"],
    SCONE_CAS_ADDR: "cas",
    VOUCHSAFE_EVIDENCE: "node",
    LD_PRELOAD: "",
    NODE_OPTIONS: "--inspect",
    SCONEX: "1",
    VOUCHSAFEX: "2",
    S: "3",
  };
  const result = spawnSync("unshare", ["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", root], { env, encoding: "utf8" });
  const lines = result.stdout.trim().split("\n");
  assert.deepEqual(
    lines.filter((line) => line.startsWith("argument ")),
    [`argument ${RUNTIME.main}`, "argument one", "argument two words"],
    result.stderr,
  );
  const names = lines.filter((line) => /^[A-Z_]+=/.test(line)).map((line) => line.split("=")[0]);
  // The shell of the stand-in adds PWD, OLDPWD, SHLVL and _.
  assert.deepEqual(names.filter((name) => !["PWD", "OLDPWD", "SHLVL", "_"].includes(name ?? "")).sort(), [
    "LD_LIBRARY_PATH",
    "SCONE_CAS_ADDR",
    "VOUCHSAFE_EVIDENCE",
  ]);
});

test("MF-68: without a runtime the launcher fails with 127, it starts nothing else", (context) => {
  const launcher = join(temporaryDirectory(context, "launcher"), "launcher");
  writeFileSync(launcher, renderLauncher(), { mode: 0o711 });
  assert.equal(spawnSync(launcher, ["x"]).status, 127);
});

test("a processor without a launcher is named", () => {
  assert.throws(() => renderLauncher("riscv64"), { code: "E-BUILD-KIND", message: /riscv64/ });
});

test("a stripped program with another loader runs with that loader", (context) => {
  const directory = temporaryDirectory(context, "elf");
  const program = stripElf(readFileSync("/usr/bin/env"));
  const loader = findInterpreter(program) ?? assert.fail("env is a static program");
  const other = join("/tmp", `l${process.pid}`);
  copyFileSync(loader, other);
  context.after(() => execFileSync("rm", [other]));
  setInterpreter(program, other);
  assert.equal(findInterpreter(program), other);
  const file = join(directory, "env");
  writeFileSync(file, program, { mode: 0o755 });
  assert.equal(execFileSync(file, ["A=1"], { env: {}, encoding: "utf8" }), "A=1\n");
  assert.throws(() => setInterpreter(program, `/${"x".repeat(100)}`), { code: "E-BINARY" });
});

test("stripElf strips or says E-BINARY, whatever the bytes", () => {
  const valid = readFileSync("/usr/bin/env").subarray(0, 4096);
  const nearlyValid = fc.tuple(fc.nat(127), fc.nat(255)).map(([at, value]) => Uint8Array.from(valid).fill(value, at, at + 1));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), nearlyValid), (bytes) => {
      try {
        findInterpreter(stripElf(bytes));
      } catch (error) {
        assert(error instanceof ImageError && error.code === "E-BINARY", String(error));
      }
    }),
  );
});
