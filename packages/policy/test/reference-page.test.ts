import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { referencePage } from "./reference-page.ts";

test("the reference page is the one that the definition gives", () => {
  const page = readFileSync(join(import.meta.dirname, "../REFERENCE.md"), "utf8");
  assert.equal(page, referencePage(), "write it anew: node packages/policy/test/reference-page.ts > packages/policy/REFERENCE.md");
});
