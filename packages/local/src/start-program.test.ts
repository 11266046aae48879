import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { step } from "@vouchsafe/linux";
import { startProgram } from "./start-program.ts";

/** All that happens meanwhile is noticed at once, and in no order that one could rely on. */
function lookAway(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

test("hazard I6: a program that ended before anybody waited for it has ended, with its status and its output", {
  timeout: 60_000,
}, async () => {
  for (let count = 0; count < 20; count += 1) {
    let output = "";
    const starting = startProgram(
      [step.execute("/bin/sh", ["sh", "-c", "echo said; exit 7"], {})],
      {},
      ["ignore", "pipe", "pipe"],
      (chunk) => {
        output += chunk;
      },
    );
    lookAway(50);
    const { child, ended } = await starting;
    await ended;
    assert.deepEqual([child.exitCode, output], [7, "said\n"]);
  }
});

test("a step that the kernel refuses is told with its errno, however late one looks", { timeout: 60_000 }, async () => {
  const starting = startProgram([step.changeDirectory("/nowhere"), step.execute("/bin/true", ["true"], {})], {}, [
    "ignore",
    "pipe",
    "ignore",
  ]);
  lookAway(50);
  await assert.rejects(starting, { code: "L-NAMESPACE", message: "the kernel refused a step: chdir /nowhere failed: ENOENT" });
});

test("a program that runs on has not ended", { timeout: 60_000 }, async () => {
  const { child, ended } = await startProgram([step.closeOnExecute(3), step.execute("/bin/sleep", ["sleep", "1000"], {})], {}, [
    "ignore",
    "ignore",
    "ignore",
  ]);
  const first = await Promise.race([
    ended.then(() => "ended"),
    once(child, "never", { signal: AbortSignal.timeout(100) }).catch(() => "runs"),
  ]);
  assert.equal(first, "runs");
  child.kill("SIGKILL");
  await ended;
  assert.equal(child.signalCode, "SIGKILL");
});
