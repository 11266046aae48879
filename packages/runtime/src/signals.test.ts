import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { type TestContext, test } from "node:test";

/** A launcher's part alone: a program that says which signal ends it, and the process in front of it. */
const PROGRAM = `process.on("SIGTERM", () => { console.log("SIGTERM"); process.exit(0); }); setInterval(() => {}, 1000); console.log("runs")`;
const launcher = (drainMs: number) => `
  import { spawn } from "node:child_process";
  import { forwardSignals } from ${JSON.stringify(join(import.meta.dirname, "signals.ts"))};
  const program = spawn(process.execPath, ["-e", ${JSON.stringify(PROGRAM)}], { stdio: ["ignore", "inherit", "inherit"] });
  forwardSignals(program, ${drainMs}).programRuns();
  program.once("exit", (code) => process.exit(code));
`;

async function start(t: TestContext, drainMs: number): Promise<{ readonly child: ChildProcess; readonly said: () => string }> {
  const argv = ["--disable-warning=ExperimentalWarning", "--input-type=module", "-e", launcher(drainMs)];
  const child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  let text = "";
  const isRunning = new Promise<void>((resolve) => {
    child.stdout?.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes("runs")) resolve();
    });
  });
  await isRunning;
  return { child, said: () => text };
}

test("a request to stop reaches the program after the time in which connections may still arrive", async (t) => {
  const { child, said } = await start(t, 1_000);
  const before = performance.now();
  child.kill("SIGTERM");
  await once(child, "close");
  assert(performance.now() - before >= 1_000);
  assert.match(said(), /SIGTERM/);
});

test("a second request reaches the program at once", { timeout: 60_000 }, async (t) => {
  const { child, said } = await start(t, 3_600_000);
  child.kill("SIGTERM");
  // Two signals that wait at the same time are one to the kernel.
  const again = setInterval(() => child.kill("SIGTERM"), 200);
  t.after(() => clearInterval(again));
  await once(child, "close");
  assert.match(said(), /SIGTERM/);
});
