import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";
import { test } from "node:test";
import { openSystemCallProgram, renderContinuation, renderSystemCallProgram, type Step, step } from "./index.ts";

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

/** A program that waits for the rest of its steps. */
function startWaiting(): { child: ChildProcess; socket: Duplex; order: Duplex } {
  const program = openSystemCallProgram([step.continue()]);
  const child = spawn(program.path, [], { stdio: ["ignore", "pipe", "pipe", "pipe", "pipe"], env: {} });
  program[Symbol.dispose]();
  const [socket, order] = [child.stdio[3], child.stdio[4]];
  assert(socket instanceof Duplex && order instanceof Duplex);
  socket.on("error", () => {});
  order.on("error", () => {});
  return { child, socket, order };
}
async function said(socket: Duplex): Promise<string> {
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk;
  });
  await once(socket, "close");
  return text;
}
function scratchFor(context: { after: (clean: () => void) => void }): string {
  const scratch = mkdtempSync(join(tmpdir(), "steps-"));
  context.after(() => rmSync(scratch, { recursive: true, force: true }));
  return scratch;
}

test("the rest of a program and the content of its files come over the order socket", async (context) => {
  const scratch = scratchFor(context);
  const large = Buffer.alloc(3_000_001, "Vouchsafe ");
  const { child, socket, order } = startWaiting();
  const [output, outcome] = [collect(child), said(socket)];
  const steps = [
    step.setMask(0),
    step.makeDirectory(join(scratch, "in"), 0o750),
    step.receiveFile(join(scratch, "in/large"), large.length),
    step.receiveFile(join(scratch, "empty"), 0),
    step.receiveFile(join(scratch, "small"), 5),
    step.changeMode(join(scratch, "small"), 0o440),
    step.closeAllOnExecute(3),
    step.say("."),
    step.optional(step.execute("/no/such/program", ["x"], {})),
    step.execute("/bin/sh", ["sh", "-c", 'echo "$1 $A"; ls /proc/self/fd | wc -l', "sh", "one two"], { A: "b", PATH: "/bin:/usr/bin" }),
  ];
  order.write(renderContinuation(steps));
  order.write(large);
  order.write("small");
  assert.equal(await output, "one two b\n4\n"); // 0, 1, 2 and the directory itself
  assert.equal(await outcome, ".");
  assert.equal(child.exitCode, 0);
  assert(readFileSync(join(scratch, "in/large")).equals(large));
  assert.equal(readFileSync(join(scratch, "empty"), "utf8"), "");
  assert.equal(readFileSync(join(scratch, "small"), "utf8"), "small");
});

test("a step of the rest that fails is named, although content for later steps is on its way", async (context) => {
  const scratch = scratchFor(context);
  const { child, socket, order } = startWaiting();
  const outcome = said(socket);
  const steps = [
    step.renamed(step.receiveFile(join(scratch, "nowhere/file"), 10_000_000), "3 write"),
    step.receiveFile(join(scratch, "later"), 1),
    step.execute("/bin/true", ["true"], {}),
  ];
  order.write(renderContinuation(steps));
  order.write(Buffer.alloc(10_000_001));
  assert.equal(await outcome, "!3 write");
  if (child.exitCode === null) await once(child, "exit");
  assert.equal(child.exitCode, 2); // ENOENT
});

test("a starter that ends in the middle of an order, or of a file, ends the program without its last step", async (context) => {
  const scratch = scratchFor(context);
  const whole = renderContinuation([
    step.receiveFile(join(scratch, "half"), 100),
    step.execute("/bin/touch", ["touch", join(scratch, "ran")], {}),
  ]);
  for (const cut of [0, 5, 8, 100, whole.length, whole.length + 50]) {
    const { child, socket, order } = startWaiting();
    const outcome = said(socket);
    order.end(Buffer.concat([whole, Buffer.alloc(100)]).subarray(0, cut));
    const [code] = await once(child, "exit");
    assert.equal(code, 32, `cut at ${cut}`); // EPIPE
    assert.match(await outcome, cut < whole.length ? /^!continue$/ : /^!write /);
  }
  assert.throws(() => readFileSync(join(scratch, "ran")), { code: "ENOENT" });
});

test("a program with several thousand steps is rendered whole", async (context) => {
  const scratch = scratchFor(context);
  const { child, order } = startWaiting();
  const files = Array.from({ length: 4_000 }, (_, index) => join(scratch, `file-${index}`));
  order.write(renderContinuation([...files.map((file) => step.receiveFile(file, 1)), step.execute("/bin/true", ["true"], {})]));
  order.write(Buffer.alloc(files.length, "x"));
  const [code] = await once(child, "exit");
  assert.equal(code, 0);
  assert(files.every((file) => readFileSync(file, "utf8") === "x"));
});

test("a waiting program that hid itself belongs to root in /proc, closed to its own user, and dumps no core", async (context) => {
  const owners: number[] = [];
  for (const steps of [[], [step.hideFromOwnUser(), step.forbidCoreDumps()]]) {
    const program = openSystemCallProgram([...steps, step.say("w"), step.continue()]);
    const isRoot = process.getuid?.() === 0;
    const child = spawn(program.path, [], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"], ...(isRoot ? { uid: 65_534 } : {}) });
    program[Symbol.dispose]();
    context.after(() => child.kill("SIGKILL"));
    const socket = child.stdio[3];
    assert(socket instanceof Duplex);
    await once(socket, "data");
    owners.push(statSync(`/proc/${child.pid}/mem`).uid);
    if (steps.length > 0) assert.match(readFileSync(`/proc/${child.pid}/limits`, "utf8"), /^Max core file size +0 +0 /m);
  }
  const user = process.getuid?.();
  assert.deepEqual(owners, [user === 0 ? 65_534 : user, 0]);
});
