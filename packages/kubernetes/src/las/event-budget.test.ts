import assert from "node:assert/strict";
import { test } from "node:test";
import { EventBudget } from "./event-budget.ts";

test("hazard I5: a pod that floods the agent causes a dozen events in ten minutes, and does not use up another's", () => {
  const budget = new EventBudget();
  const told = Array.from({ length: 100 }, () => budget.mayTell("hostile", 0)).filter(Boolean);
  assert.equal(told.length, 12);
  assert.equal(budget.mayTell("other", 0), true);
  assert.equal(budget.mayTell("hostile", 10 * 60_000 - 1), false);
  assert.equal(budget.mayTell("hostile", 10 * 60_000), true);
});

test("hazard I5: the agent remembers a limited number of pods", () => {
  const budget = new EventBudget();
  for (let count = 0; count < 12; count++) budget.mayTell("first", 0);
  for (let count = 0; count < 1_000; count++) budget.mayTell(`pod-${count}`, 0);
  assert.equal(budget.mayTell("first", 0), true, "forgotten, as the oldest");
});

test("hazard I5: the pod that spoke last is forgotten last", () => {
  const budget = new EventBudget();
  for (let count = 0; count < 11; count++) budget.mayTell("first", 0);
  for (let count = 0; count < 999; count++) budget.mayTell(`pod-${count}`, 0);
  assert.equal(budget.mayTell("first", 0), true, "its twelfth");
  budget.mayTell("another", 0);
  assert.equal(budget.mayTell("first", 0), false);
});
