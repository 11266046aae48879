import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterError } from "../cluster/cluster.ts";
import { type Patience, untilTrue } from "./until-true.ts";

/** Each look takes ten seconds of a clock of its own. */
function patience(limits: { timeoutMs: number; limitMs?: number }, said: string[] = []): Patience {
  let clock = 0;
  const now = () => {
    clock += 10_000;
    return clock;
  };
  return { ...limits, signal: new AbortController().signal, log: (line) => said.push(line), pace: { intervalMs: 0, now } };
}
const problems = (list: readonly (string | undefined)[]) => {
  let at = 0;
  return async () => list[Math.min(at++, list.length - 1)];
};

test("init waits as long as things move, and says what for", async () => {
  const said: string[] = [];
  const steps = Array.from({ length: 12 }, (_, index) => `${index} of 12 pods are ready`);
  await untilTrue("it did not become ready", patience({ timeoutMs: 30_000, limitMs: 900_000 }, said), problems([...steps, undefined]));
  assert.match(said.join("\n"), /^waiting for \d+ s: \d+ of 12 pods are ready$/m);
  assert(said.length > 2 && said.length < steps.length, said.join("\n"));
});

test("init gives up when nothing moves: a state that comes back is no movement", async () => {
  const turns = Array.from({ length: 100 }, (_, index) => (index % 2 === 0 ? "CrashLoopBackOff" : "starting"));
  await assert.rejects(untilTrue("the agents", patience({ timeoutMs: 60_000, limitMs: 900_000 }), problems(turns)), {
    code: "E-CLUSTER",
    message: /^the agents: (CrashLoopBackOff|starting) \(nothing moved for 70 s\)$/,
  });
});

test("init gives up after the longest time in all, although things move", async () => {
  let at = 0;
  const ever = async () => `step ${at++}`;
  await assert.rejects(untilTrue("the agents", patience({ timeoutMs: 60_000, limitMs: 200_000 }), ever), {
    message: /^the agents: step \d+ \(it was not done after 210 s\)$/,
  });
});

test("init takes what the pods say of themselves for movement, and a cluster that does not answer for a moment for none", async () => {
  let looks = 0;
  const findProblem = async () => {
    looks += 1;
    if (looks === 3) throw new ClusterError(0, "the cluster does not answer");
    return looks < 20 ? "las-agent is starting" : undefined;
  };
  const findMark = async () => `pulled ${looks} layers`;
  await untilTrue("the agents", { ...patience({ timeoutMs: 30_000, limitMs: 900_000 }), findMark }, findProblem);
  await assert.rejects(
    untilTrue("the agents", patience({ timeoutMs: 30_000 }), () => Promise.reject(new ClusterError(403, "no right"))),
    { message: "no right" },
  );
});
