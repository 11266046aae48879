import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { step } from "@vouchsafe/linux";
import { handOver } from "../src/hand-over.ts";
import { type LayoutStep, type Phase, plain } from "../src/layout.ts";
import { RuntimeError } from "../src/runtime-error.ts";
import { startProgram } from "../src/start-program.ts";

/*
 * The process that becomes the program waits for its order while process 1 attests. Whatever ends meanwhile, nothing is left over, and nothing that did
 * not start is taken for started.
 */
const scratch = mkdtempSync(join(tmpdir(), "waiting-"));
const source = (name: string) => JSON.stringify(fileURLToPath(new URL(`../src/${name}`, import.meta.url)));
const phase = (what: string, ...steps: readonly LayoutStep[]): Phase => ({
  steps,
  failure: (reason) => new RuntimeError("R-PROGRAM", what, { cause: new Error(reason) }),
});
const SAY = plain(step.closeAllOnExecute(3), step.say("."));
const run = (...words: readonly string[]): LayoutStep[] => plain(step.execute(words[0] ?? "", words, {}));

after(() => rmSync(scratch, { recursive: true, force: true }));

/** Process 1 while it attests: it has started the other process, and passes signals on. Says the other's id. */
function startLauncher(): { readonly launcher: ChildProcess; readonly waiting: Promise<number>; readonly complaint: Promise<string> } {
  const script = `
    import { forwardSignals } from ${source("signals.ts")};
    import { startProgram } from ${source("start-program.ts")};
    const { child, isReady } = startProgram();
    forwardSignals(child, 0);
    await isReady;
    console.log(child.pid);
    setInterval(() => {}, 1000);`;
  const file = join(scratch, "launcher.mjs");
  writeFileSync(file, script);
  const launcher = spawn(process.execPath, [file], { stdio: ["ignore", "pipe", "pipe"] });
  // A test that fails leaves nothing: the other process ends with this one.
  after(() => launcher.kill("SIGKILL"));
  const waiting = once(launcher.stdout, "data").then(([said]) => Number(String(said)));
  // Ends when both processes have ended: they have the same standard error.
  return { launcher, waiting, complaint: text(launcher.stderr) };
}

const isAlive = (pid: number): boolean => {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
};

/** Its files are closed a moment before it is gone. The test's own time limit ends the wait. */
async function untilGone(pid: number): Promise<void> {
  while (isAlive(pid)) await sleep(10);
}

for (const [signal, status] of [
  ["SIGTERM", 143],
  ["SIGINT", 130],
  ["SIGQUIT", 131],
] as const) {
  test(`hazard I6: ${signal} before the program runs ends the start with ${status}, and the waiting process with it`, {
    timeout: 60_000,
  }, async () => {
    const { launcher, waiting, complaint } = startLauncher();
    const pid = await waiting;
    assert(isAlive(pid));
    launcher.kill(signal);
    const [code] = await once(launcher, "exit");
    assert.equal(code, status);
    assert.equal(await complaint, "");
    await untilGone(pid);
  });
}

test("the waiting process ends without a word when process 1 is killed", { timeout: 60_000 }, async () => {
  const { launcher, waiting, complaint } = startLauncher();
  const pid = await waiting;
  launcher.kill("SIGKILL");
  assert.equal(await complaint, "");
  await untilGone(pid);
});

test("a waiting process that was killed is not taken for a program that started", async () => {
  const waiting = startProgram();
  await waiting.isReady;
  waiting.child.kill("SIGKILL");
  await assert.rejects(handOver(waiting, [phase("never", ...SAY, ...run("/bin/true"))]), {
    code: "R-PROGRAM",
    message: "the starting process ended by SIGKILL",
  });
});

test("the waiting process holds nothing of process 1: no variable, no descriptor but its sockets", async () => {
  process.env["CANARY"] = "c4n4ry";
  const { child, isReady } = startProgram();
  delete process.env["CANARY"];
  await isReady;
  const ended = once(child, "exit");
  try {
    assert.equal(readFileSync(`/proc/${child.pid}/environ`, "latin1"), "");
  } finally {
    child.kill("SIGKILL");
  }
  await ended;
});

test("contents reach the files, in order, and are wiped in process 1", async () => {
  const waiting = startProgram();
  await waiting.isReady;
  const contents = ["first secret", "", "x".repeat(700_000), "last secret"].map((content) => Buffer.from(content));
  const expected = contents.map(String);
  const files = contents.map((content, index): LayoutStep => {
    const path = join(scratch, `content-${index}`);
    return { step: step.receiveFile(path, content.length), content };
  });
  const ended = once(waiting.child, "exit");
  await handOver(waiting, [phase("files", ...files), phase("program", ...SAY, ...run("/bin/sh", "-c", "exit 7"))]);
  assert.deepEqual(await ended, [7, null]);
  for (const [index, content] of expected.entries()) {
    const path = join(scratch, `content-${index}`);
    assert.equal(readFileSync(path, "utf8"), content);
    assert.equal(statSync(path).mode & 0o777, 0o600);
  }
  assert(contents.every((content) => content.every((byte) => byte === 0)));
});

test("what cannot be laid out is told by its phase, call and errno, and the process ends", async () => {
  for (const [phases, message, cause] of [
    [
      [
        phase("the first", ...plain(step.changeDirectory("/"))),
        phase("the second", ...plain(step.changeDirectory("/nowhere"))),
        phase("the last", ...run("/bin/true")),
      ],
      "the second",
      "chdir /nowhere: ENOENT",
    ],
    [
      [
        phase("files", { step: step.receiveFile("/proc/nowhere", 3_000_000), content: Buffer.alloc(3_000_000) }),
        phase("p", ...run("/bin/true")),
      ],
      "files",
      "write /proc/nowhere: ENOENT",
    ],
    [[phase("program", ...SAY, ...run("/etc/passwd"))], "program", "execve /etc/passwd: EACCES"],
  ] as const) {
    const waiting = startProgram();
    const ended = once(waiting.child, "exit");
    await waiting.isReady;
    await assert.rejects(handOver(waiting, phases), (error) => {
      assert(error instanceof RuntimeError && error.cause instanceof Error);
      assert.deepEqual([error.message, error.cause.message], [message, cause]);
      return true;
    });
    const [code] = await ended;
    assert.notEqual(code, 0);
  }
});

test("a NUL in an argument is told, and nothing starts", async () => {
  const waiting = startProgram();
  await waiting.isReady;
  await assert.rejects(handOver(waiting, [phase("program", ...run("/bin/true", "a\0b"))]), { code: "R-PROGRAM", message: /byte/ });
  const ended = once(waiting.child, "exit");
  waiting.child.kill("SIGKILL");
  await ended;
});
