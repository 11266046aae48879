import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { ProgramOrder } from "../src/become-program.ts";
import { handOver } from "../src/hand-over.ts";
import { startProgram } from "../src/start-program.ts";

/*
 * The process that becomes the program waits for its order while process 1 attests. Whatever ends meanwhile, nothing is left over, and nothing that did
 * not start is taken for started.
 */
const scratch = mkdtempSync(join(tmpdir(), "waiting-"));
const bundle = join(scratch, "main.js");
const source = (name: string) => JSON.stringify(fileURLToPath(new URL(`../src/${name}`, import.meta.url)));
const ORDER: ProgramOrder = {
  configuration: {
    session: "s",
    service: "s",
    secretApi: [],
    sessionHash: "00",
    attested: true,
    arguments: ["no-such-program"],
    hostArguments: [],
    environment: {},
    hostVariables: [],
    workingDirectory: "/",
    volumes: [],
    files: [],
    templateValues: {},
    warnings: [],
  },
  image: {
    platformVersion: "0",
    mode: "development",
    user: { uid: 65_532, gid: 65_532 },
    environment: {},
    searchPath: ["/nowhere"],
    diversions: [],
    fileSystemTag: undefined,
  },
  hostArguments: [],
  hostEnvironment: {},
};

before(() => execFileSync(process.execPath, [fileURLToPath(new URL("../../../scripts/bundle-runtime.ts", import.meta.url)), bundle]));
after(() => rmSync(scratch, { recursive: true, force: true }));

/** Process 1 while it attests: it has started the other process, and passes signals on. Says the other's id. */
function startLauncher(): { readonly launcher: ChildProcess; readonly waiting: Promise<number>; readonly complaint: Promise<string> } {
  const script = `
    import { forwardSignals } from ${source("signals.ts")};
    import { startProgram } from ${source("start-program.ts")};
    const { child, isReady } = startProgram(${JSON.stringify(bundle)});
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
  const { child, isReady } = startProgram(bundle);
  await isReady;
  child.kill("SIGKILL");
  await assert.rejects(handOver(child, ORDER), { code: "R-PROGRAM", message: "the starting process ended by SIGKILL" });
});

test("the waiting process holds no variable of process 1 but the path of its libraries", async () => {
  process.env["CANARY"] = "c4n4ry";
  const { child, isReady } = startProgram(bundle);
  delete process.env["CANARY"];
  await isReady;
  const ended = once(child, "exit");
  try {
    const { LD_LIBRARY_PATH } = process.env;
    const expected = LD_LIBRARY_PATH === undefined ? "" : `LD_LIBRARY_PATH=${LD_LIBRARY_PATH}\0`;
    assert.equal(readFileSync(`/proc/${child.pid}/environ`, "latin1"), expected);
  } finally {
    child.kill("SIGKILL");
  }
  await ended;
});

test("what cannot be laid out is told, and the process ends", async () => {
  const { child, isReady } = startProgram(bundle);
  const ended = once(child, "exit");
  await isReady;
  const volume = { name: "data", path: "/data", key: "00", tag: null, mode: "encrypted", policy: "ephemeral" } as const;
  const order = { ...ORDER, configuration: { ...ORDER.configuration, volumes: [volume] } };
  await assert.rejects(handOver(child, order), { code: "R-PROGRAM", message: /volume data/ });
  assert.deepEqual(await ended, [1, null]);
});

test("a second process that cannot be started is told, and is no crash", async () => {
  const { execPath } = process;
  process.execPath = join(scratch, "no-node");
  try {
    const { child, isReady } = startProgram(bundle);
    await assert.rejects(
      isReady.then(() => handOver(child, ORDER)),
      { code: "R-PROGRAM" },
    );
    assert.equal(child.kill("SIGKILL"), false);
  } finally {
    process.execPath = execPath;
  }
});
