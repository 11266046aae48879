import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { WorkQueue } from "./work-queue.ts";

test("work for one key never runs twice at once, and a request meanwhile makes exactly one more run", async () => {
  let running = 0;
  let most = 0;
  let runs = 0;
  const queue = new WorkQueue(
    async () => {
      runs += 1;
      most = Math.max(most, ++running);
      await sleep(20);
      running -= 1;
      return undefined;
    },
    () => assert.fail("no work fails here"),
  );
  for (let count = 0; count < 5; count++) queue.add("a");
  await sleep(120);
  assert.deepEqual({ runs, most }, { runs: 2, most: 1 });
  queue.stop();
});

test("work that fails is repeated, later each time, until it succeeds", async () => {
  const times: number[] = [];
  const errors: string[] = [];
  const done = Promise.withResolvers<void>();
  const queue = new WorkQueue(
    async () => {
      times.push(performance.now());
      if (times.length < 2) throw new Error("not yet");
      done.resolve();
      return undefined;
    },
    (key, error) => errors.push(`${key}: ${String(error)}`),
  );
  queue.add("a");
  await done.promise;
  queue.stop();
  assert.deepEqual(errors, ["a: Error: not yet"]);
  assert((times[1] ?? 0) - (times[0] ?? 0) >= 490);
});

test("after a stop nothing runs any more", async () => {
  let runs = 0;
  const queue = new WorkQueue(
    async () => {
      runs += 1;
      return 5;
    },
    () => assert.fail("no work fails here"),
  );
  queue.add("a");
  await sleep(30);
  queue.stop();
  const before = runs;
  queue.add("a");
  await sleep(30);
  assert(before > 1);
  assert.equal(runs, before);
});
