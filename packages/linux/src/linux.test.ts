import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { isDumpable, openDevice, readStatus, SystemCallError, setDumpable } from "./index.ts";

/** Runs a piece of code in a fresh process: system calls change the process that makes them. */
function inFreshProcess(code: string, wrapper: readonly string[] = []): { status: number | null; stdout: string; stderr: string } {
  const script = `import * as linux from ${JSON.stringify(import.meta.resolve("./index.ts"))};
import * as fs from "node:fs";
${code}`;
  const command = [...wrapper, process.execPath, "--input-type=module", "-e", script];
  const [program = "", ...args] = command;
  return spawnSync(program, args, { encoding: "utf8" });
}
/** Root in own namespaces, whoever runs the tests. */
const asNamespaceRoot = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc"];

test("a process can close itself to its own user, until it executes another program", () => {
  assert.equal(isDumpable(), true);
  setDumpable(false);
  assert.equal(isDumpable(), false);
  setDumpable(true);
});

test("loading the system calls prints no warning", () => {
  const { stderr, status } = inFreshProcess("linux.setDumpable(false); linux.forbidCoreDumps();");
  assert.deepEqual({ stderr, status }, { stderr: "", status: 0 });
});

test("hazard I6: PID 1 collects orphans and leaves its own children to Node", () => {
  const { stdout, stderr } = inFreshProcess(
    `import { spawn } from "node:child_process";
    const child = spawn("/bin/sh", ["-c", "(sleep 0.05 & exec true) & wait; sleep 0.3; exit 7"]);
    child.on("exit", (code) => console.log("own", code, "orphans", linux.reapOrphans(new Set([child.pid])) + total));
    let total = 0;
    setInterval(() => { total += linux.reapOrphans(new Set([child.pid])); }, 50).unref();`,
    asNamespaceRoot,
  );
  assert.equal(stdout.trim(), "own 7 orphans 1", stderr);
});

test("a status names parent and start time, also for names with parentheses", () => {
  const status = readStatus(process.pid);
  assert.equal(status?.parent, process.ppid);
  assert.match(status?.startTime ?? "", /^[1-9][0-9]*$/);
  assert.equal(readStatus(0x7fff_fff0), undefined);
});

test("a device is spoken to by ioctl; what the kernel refuses has its errno, and no address is left in the structure", () => {
  using device = openDevice("/dev/null");
  const structure = new Uint8Array(16).fill(7);
  const inside = new Uint8Array(8).fill(1);
  assert.throws(() => device.control(0x5401n, structure, [{ offset: 8, buffer: inside }]), { code: "ENOTTY" });
  assert.deepEqual([...structure], [...Array<number>(8).fill(7), ...Array<number>(8).fill(0)]);
  assert.deepEqual([...inside], Array<number>(8).fill(1));
  assert.throws(() => openDevice("/dev/no-such-device"), { code: "ENOENT" });
  assert.throws(
    () => device.control(0x5401n, structure, []),
    (error) => error instanceof SystemCallError && error.message.startsWith("ioctl") && error.message.endsWith("failed: ENOTTY"),
  );
});
