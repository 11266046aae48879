import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";
import { readLimboTests } from "../vectors/judge-limbo.ts";
import { findPathFault } from "../vectors/limbo-case.ts";

const vectors = process.env["VOUCHSAFE_VECTORS"] ?? join(import.meta.dirname, "../../../../../shared/vectors");
const files = globSync(join(vectors, "x509-limbo/*/limbo.json.gz"));

/** One clock for tests that bring none: their certificates live for decades. */
const NOW = new Date("2026-11-25T00:00:00Z");

test("hazard A8: certification paths are judged as x509-limbo says", (context) => {
  if (files.length === 0) context.diagnostic(`no vectors at ${vectors}: nothing was compared`);
  for (const file of files) {
    for (const limbo of readLimboTests(readFileSync(file))) {
      const started = process.cpuUsage();
      const fault = findPathFault(limbo, NOW);
      const { user, system } = process.cpuUsage(started);
      assert.equal(
        fault === undefined ? "SUCCESS" : "FAILURE",
        limbo.expected_result,
        `${basename(dirname(file))} ${limbo.id}: ${fault ?? "accepted"}`,
      );
      if (limbo.features.includes("denial-of-service"))
        assert.ok(user + system < 1_000_000, `${limbo.id} took ${(user + system) / 1000} CPU-ms`);
    }
  }
});
