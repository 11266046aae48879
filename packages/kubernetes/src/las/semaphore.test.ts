import assert from "node:assert/strict";
import { test } from "node:test";
import { Semaphore } from "./semaphore.ts";

test("hazard I5: so many work at once, so many wait in turn, and who comes then is told so", async () => {
  const semaphore = new Semaphore(2, 2);
  const started: string[] = [];
  const ends = new Map<string, () => void>();
  const run = (name: string) =>
    semaphore.run(() => {
      started.push(name);
      return new Promise<string>((resolve) => ends.set(name, () => resolve(name)));
    });
  const answers = ["a", "b", "c", "d"].map(run);
  assert.equal(await run("e"), undefined, "two work and two wait");
  assert.deepEqual(started, ["a", "b"]);
  ends.get("a")?.();
  assert.equal(await answers[0], "a");
  assert.deepEqual(started, ["a", "b", "c"]);
  for (const [index, name] of ["b", "c", "d"].entries()) {
    ends.get(name)?.();
    assert.equal(await answers[index + 1], name);
  }
  assert.deepEqual(started, ["a", "b", "c", "d"]);
  const again = ["f", "g"].map(run);
  assert.deepEqual(started.slice(4), ["f", "g"], "all places are free again");
  for (const name of ["f", "g"]) ends.get(name)?.();
  assert.deepEqual(await Promise.all(again), ["f", "g"]);
});

test("work that fails frees its place", async () => {
  const semaphore = new Semaphore(1, 0);
  await assert.rejects(
    semaphore.run(() => Promise.reject(new Error("no"))),
    /no/,
  );
  assert.equal(await semaphore.run(async () => 1), 1);
});
