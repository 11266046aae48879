import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { forwardClock } from "./forward-clock.ts";
import { refreshTime, retryDelayMs } from "./refresh-times.ts";

const HOUR_MS = 3_600_000;

test("a document is asked for again before it ends, whatever its life and the interval", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 400 * 24 }),
      fc.integer({ min: 1, max: 100 * 24 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (life, interval, random) => {
        const fetchedAt = new Date("2026-06-01T00:00:00Z");
        const goodUntil = new Date(fetchedAt.getTime() + life * HOUR_MS);
        const document = { request: { kind: "root-ca-crl" }, fetchedAt, goodUntil, issuedAt: fetchedAt } as const;
        const at = refreshTime(
          { ...document, body: new Uint8Array(), chain: undefined, source: "", evaluationNumber: undefined },
          interval * HOUR_MS,
          random,
        );
        assert.ok(at > fetchedAt && at < goodUntil);
        assert.ok(at.getTime() <= fetchedAt.getTime() + interval * HOUR_MS);
      },
    ),
  );
});

test("waits after failures grow, have an end, and differ between replicas", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1000 }), fc.double({ min: 0, max: 1, noNaN: true }), (failures, random) => {
      const delay = retryDelayMs(failures, random);
      assert.ok(delay >= 3750 && delay <= HOUR_MS);
      assert.ok(retryDelayMs(failures + 1, random) >= delay);
    }),
  );
  assert.notEqual(retryDelayMs(3, 0.1), retryDelayMs(3, 0.9));
});

test("hazard B9: the clock never goes back", () => {
  fc.assert(
    fc.property(fc.array(fc.date({ noInvalidDate: true })), (times) => {
      let at = new Date(0);
      const clock = forwardClock(() => at);
      let latest = Number.NEGATIVE_INFINITY;
      for (at of times) {
        const told = clock().getTime();
        assert.ok(told >= latest && told >= at.getTime());
        latest = told;
      }
    }),
  );
});
