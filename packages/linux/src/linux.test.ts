import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { bindMount, isDumpable, mount, openDevice, readStatus, SystemCallError, setDumpable, unshare } from "./index.ts";

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

test("a failing call throws its errno by name, with what it was about and no more", () => {
  assert.throws(
    () => mount({ source: "none", target: "/there/is/nothing", type: "tmpfs" }),
    (error) =>
      error instanceof SystemCallError &&
      ["ENOENT", "EPERM"].includes(error.code) &&
      error.syscall === "mount" &&
      error.message.startsWith("mount tmpfs at /there/is/nothing failed: E"),
  );
  assert.throws(() => bindMount("/\0", "/"), TypeError);
});

test("design §8: Node has several threads, so a user namespace is refused with EINVAL", () => {
  assert.throws(() => unshare("user"), { name: "SystemCallError", code: "EINVAL", syscall: "unshare" });
});

test("a process can close itself to its own user, until it executes another program", () => {
  assert.equal(isDumpable(), true);
  setDumpable(false);
  assert.equal(isDumpable(), false);
  setDumpable(true);
});

test("loading the system calls prints no warning", () => {
  const { stderr, status } = inFreshProcess("linux.setNoNewPrivileges(); linux.forbidCoreDumps();");
  assert.deepEqual({ stderr, status }, { stderr: "", status: 0 });
});

test("tmpfs, bind mounts, another root and another user, seen by the executed program only", () => {
  const { stdout, stderr } = inFreshProcess(
    `linux.unshare("mount"); linux.makeMountsPrivate();
    linux.mount({ source: "tmpfs", target: "/mnt", type: "tmpfs", flags: ["noDevices", "noSetUserId"], options: "mode=0755" });
    for (const name of ["usr", "proc", "old"]) { fs.mkdirSync("/mnt/" + name); if (name !== "old") linux.bindMount("/" + name, "/mnt/" + name); }
    for (const name of ["bin", "lib", "lib64"]) if (fs.existsSync("/" + name)) fs.symlinkSync("usr/" + name, "/mnt/" + name);
    fs.writeFileSync("/mnt/secret", "s3cret", { mode: 0o644 });
    process.chdir("/mnt"); linux.pivotRoot("/mnt", "/mnt/old"); process.chdir("/"); linux.detachMount("/old");
    linux.setNoNewPrivileges(); linux.resetSignals();
    process.execve("/usr/bin/sh", ["sh", "-c", "cat /secret; ls /; cat /proc/self/status"], {});`,
    asNamespaceRoot,
  );
  assert.match(stdout, /^s3cretbin\n/, stderr);
  assert.doesNotMatch(stdout, /home/);
  assert.match(stdout, /NoNewPrivs:\t1/);
  assert.match(stdout, /SigIgn:\t0{16}\n/);
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
});
