import assert from "node:assert/strict";
import { test } from "node:test";
import { isIntegerWithin } from "./integer.ts";

test("hazard A24: whole numbers within their bounds, and nothing that only looks like one", () => {
  for (const value of [-2, 0, 3]) assert.equal(isIntegerWithin(value, -2, 3), true);
  for (const value of [-3, 4, 0.5, Number.NaN, 1n, "1", [1], null, undefined]) assert.equal(isIntegerWithin(value, -2, 3), false);
  assert.equal(isIntegerWithin(2 ** 53, 0, Number.POSITIVE_INFINITY), false, "beyond what a double tells apart");
});
