import assert from "node:assert/strict";
import { test } from "node:test";
import { isOlder } from "./version-order.ts";

const cases = [
  { a: "0.1.0", b: "0.2.0", older: true },
  { a: "0.9.9", b: "0.10.0", older: true },
  { a: "v1.2", b: "1.2.0", older: false },
  { a: "1.2.1", b: "1.2", older: false },
  { a: "latest", b: "1.0.0", older: false },
  { a: "1.0.0-rc1", b: "1.0.0", older: false },
];
for (const { a, b, older } of cases) {
  test(`C-79: ${a} is ${older ? "" : "not "}certainly older than ${b}`, () => assert.equal(isOlder(a, b), older));
}
