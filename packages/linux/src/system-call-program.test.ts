import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { Duplex } from "node:stream";
import { test } from "node:test";
import { openSystemCallProgram, renderSystemCallProgram, type Step, step } from "./index.ts";

function start(steps: readonly Step[]): { child: ChildProcess; socket: Duplex } {
  const program = openSystemCallProgram(steps);
  const child = spawn(program.path, [], { stdio: ["ignore", "pipe", "pipe", "pipe"] });
  program[Symbol.dispose]();
  const socket = child.stdio[3];
  assert(socket instanceof Duplex);
  return { child, socket };
}
async function collect(child: ChildProcess): Promise<string> {
  let text = "";
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  await once(child, "close");
  return text;
}

test("a program of system calls makes a user namespace, waits for its map, and ends with the status of its child", async () => {
  const { child, socket } = start([
    step.unshare("user"),
    step.meet("user"),
    ...step.becomeUser(0, 0).slice(1), // supplementary groups cannot be set by an ordinary user
    step.unshare("mount", "pid", "uts"),
    step.fork(),
    step.dieWithParent(),
    step.closeOnExecute(3),
    step.setHostName("inside"),
    step.mount("none", "/", "", ["private", "recursive"]),
    step.mount("tmpfs", "/mnt", "tmpfs", ["noDevices"], "mode=0755"),
    step.makeFile("/mnt/empty"),
    step.makeLink("/mnt/link", "empty"),
    step.mount("proc", "/proc", "proc"),
    step.execute("/bin/sh", ["sh", "-c", 'echo "$$ $(hostname) $(ls /mnt | tr "\\n" " ")$X"; exit 42'], {
      X: "one & two",
      PATH: "/bin:/usr/bin",
    }),
  ]);
  const output = collect(child);
  const [byte] = await once(socket, "data");
  assert.equal(String(byte), "u");
  writeFileSync(`/proc/${child.pid}/setgroups`, "deny");
  writeFileSync(`/proc/${child.pid}/gid_map`, `0 ${process.getgid?.()} 1`);
  writeFileSync(`/proc/${child.pid}/uid_map`, `0 ${process.getuid?.()} 1`);
  socket.write("g");
  assert.equal(await output, "1 inside empty link one & two\n");
  assert.equal(child.exitCode, 42);
});

test("the first failing step is named, its errno is the exit status, and nothing after it happens", async () => {
  const { child, socket } = start([
    step.optional(step.makeDirectory("/nowhere/at/all", 0o700)),
    step.changeDirectory("/nowhere"),
    step.execute("/bin/sh", ["sh", "-c", "echo ran"], {}),
  ]);
  const output = collect(child);
  const [message] = await once(socket, "data");
  assert.equal(String(message), "!chdir /nowhere");
  assert.equal(await output, "");
  assert.equal(child.exitCode, 2);
});

test("hazard I6: a signal that ends the child is told as 128 and its number", async () => {
  const { child } = start([step.fork(), step.execute("/bin/sh", ["sh", "-c", "kill -9 $$"], {})]);
  await collect(child);
  assert.equal(child.exitCode, 137);
});

test("a starter that dies before the answer ends the program", async () => {
  const { child, socket } = start([step.meet("x"), step.execute("/bin/sh", ["sh", "-c", "echo ran"], {})]);
  const output = collect(child);
  await once(socket, "data");
  socket.end();
  assert.equal(await output, "");
  assert.notEqual(child.exitCode, null);
});

test("the same steps give the same bytes, and a program without an end is refused", () => {
  const steps = [step.meet("a"), step.execute("/bin/true", ["true"], { A: "b" })];
  assert.deepEqual(renderSystemCallProgram(steps), renderSystemCallProgram(steps));
  assert.throws(() => renderSystemCallProgram([step.fork()]), TypeError);
  assert.throws(() => renderSystemCallProgram([step.execute("/bin/\0", [], {})]), TypeError);
});

test("an ordinary user of a user namespace keeps the named capabilities through execve", async () => {
  const uid = process.getuid?.() ?? 0;
  const { child, socket } = start([
    step.unshare("user"),
    step.meet("user"),
    ...step.keepCapabilities(1, 21),
    step.execute("/bin/sh", ["sh", "-c", "grep -E 'Cap(Prm|Amb)' /proc/self/status"], { PATH: "/bin:/usr/bin" }),
  ]);
  const output = collect(child);
  await once(socket, "data");
  writeFileSync(`/proc/${child.pid}/uid_map`, `1000 ${uid} 1`);
  socket.write("g");
  assert.equal(await output, "CapPrm:\t0000000000200002\nCapAmb:\t0000000000200002\n");
});
