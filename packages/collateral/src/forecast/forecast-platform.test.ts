import assert from "node:assert/strict";
import { test } from "node:test";
import { intelPlatform, type SnpPlatform, verifyQeIdentity, verifyQuoteSignatures, verifyTcbInfo } from "@vouchsafe/attestation";
import fc from "fast-check";
import { type JsonDocument, type MintedIntel, mintedNow, mintIntel } from "../../../attestation/src/testing/mint-intel.ts";
import { CollateralProvider } from "../provider/collateral-provider.ts";
import { memoryFloors } from "../provider/evaluation-floors.ts";
import { mintedSource } from "../testing/minted-source.ts";
import { forecastFromProvider } from "./forecast-from-provider.ts";
import { forecastPlatform, STANDARD_DELAY_DAYS } from "./forecast-platform.ts";

const DAY_MS = 86_400_000;
const days = (count: number) => new Date(mintedNow.getTime() + count * DAY_MS);

function documentsOf({ collateral, root }: MintedIntel) {
  const { tcbInfo, qeIdentity, tcbSigningChain } = collateral;
  if (tcbInfo === undefined || qeIdentity === undefined || tcbSigningChain === undefined) throw new TypeError("minted without documents");
  return {
    tcbInfo: verifyTcbInfo(tcbInfo, tcbSigningChain, [root], { now: mintedNow }).value,
    qeIdentity: verifyQeIdentity(qeIdentity, tcbSigningChain, [root], { now: mintedNow }).value,
  };
}

/** A recovery event of this day that raises the first SGX component to 9. */
const recovery =
  (day: string, evaluation = 21) =>
  (document: JsonDocument) => {
    const levels = document["tcbLevels"] as (JsonDocument & { tcb: { sgxtcbcomponents: { svn: number }[] } })[];
    const [best] = levels;
    const [component] = best?.tcb.sgxtcbcomponents ?? [];
    if (best === undefined || component === undefined) throw new TypeError("no level");
    const next = structuredClone(best);
    Object.assign(next.tcb.sgxtcbcomponents[0] ?? {}, { svn: 9 });
    Object.assign(best, { tcbStatus: "OutOfDate", advisoryIDs: ["INTEL-SA-01234"] });
    levels.unshift(Object.assign(next, { tcbDate: day }));
    Object.assign(document, { tcbEvaluationDataNumber: evaluation });
  };

const minted = mintIntel();
const platform = intelPlatform(verifyQuoteSignatures(minted.quote, [minted.root], minted.context));
const present = documentsOf(minted);
const newest = documentsOf(mintIntel({ tcbInfo: recovery("2026-06-10T00:00:00Z") }));

test("a platform that both sets call current lasts as long as its certificate", () => {
  const forecast = forecastPlatform(platform, { present, newest: present }, mintedNow);
  assert.equal(forecast.cause, "certificate");
  assert.equal(forecast.fallsOn.toISOString(), platform.certifiedUntil);
  assert.deepEqual(forecast.shortfalls, []);
});

test("a recovery event that only the early set knows: days left, and the component that is short", () => {
  const { cause, daysLeft, fallsOn, shortfalls, evaluations } = forecastPlatform(platform, { present, newest }, mintedNow);
  assert.equal(cause, "recovery");
  assert.equal(fallsOn.toISOString(), "2026-07-22T00:00:00.000Z");
  assert.equal(daysLeft, 36);
  assert.deepEqual(shortfalls, [{ component: "SGX component 1", found: 5, needed: 9 }]);
  assert.deepEqual(evaluations, { present: 20, newest: 21 });
});

test("once the standard set says so, no day is left", () => {
  const forecast = forecastPlatform(platform, { present: newest, newest }, mintedNow);
  assert.deepEqual([forecast.cause, forecast.daysLeft], ["out-of-date", 0]);
});

test("a certificate that ends earlier counts: a VLEK lives for a year", () => {
  const soon = { ...platform, certifiedUntil: days(5).toISOString() };
  assert.deepEqual(
    [forecastPlatform(soon, { present, newest }, mintedNow)].map(({ cause, daysLeft }) => [cause, daysLeft]),
    [["certificate", 5]],
  );
  const vlek: SnpPlatform = {
    kind: "snp",
    id: "SNP_VLEK",
    product: "Genoa",
    signingKey: "VLEK",
    reportedTcb: { bootLoader: 7, tee: 0, snp: 14, microcode: 72 },
    certifiedUntil: days(100).toISOString(),
  };
  assert.equal(forecastPlatform(vlek, undefined, days(98.5)).daysLeft, 1);
  assert.equal(forecastPlatform(vlek, undefined, days(200)).daysLeft, 0);
});

test("fake clock: days left never grow as time passes, never fall below zero, and reach zero no later than the event is due", () => {
  const instants = fc.integer({ min: 0, max: 4 * 365 * 24 }).map((hours) => new Date(mintedNow.getTime() + hours * 3_600_000));
  fc.assert(
    fc.property(instants, instants, fc.boolean(), (a, b, knowsRecovery) => {
      const [earlier, later] = a <= b ? [a, b] : [b, a];
      const at = (now: Date) => forecastPlatform(platform, { present, newest: knowsRecovery ? newest : present }, now);
      assert.ok(at(earlier).daysLeft >= at(later).daysLeft);
      assert.ok(at(later).daysLeft >= 0 && at(later).fallsOn >= later);
      const due = knowsRecovery
        ? new Date(Date.parse("2026-06-10T00:00:00Z") + STANDARD_DELAY_DAYS * DAY_MS)
        : new Date(platform.certifiedUntil);
      if (later >= due) assert.equal(at(later).daysLeft, 0);
    }),
  );
});

test("a later recovery event is never due earlier", () => {
  const day = fc.integer({ min: -60, max: 60 });
  const cache = new Map<number, ReturnType<typeof documentsOf>>();
  const documentsAt = (offset: number) => {
    const known =
      cache.get(offset) ??
      documentsOf(
        mintIntel({
          tcbInfo: recovery(
            days(offset)
              .toISOString()
              .replace(/\.\d+Z$/, "Z"),
          ),
        }),
      );
    cache.set(offset, known);
    return known;
  };
  fc.assert(
    fc.property(day, day, (a, b) => {
      const at = (offset: number) => forecastPlatform(platform, { present, newest: documentsAt(offset) }, mintedNow).fallsOn;
      assert.ok(at(Math.min(a, b)) <= at(Math.max(a, b)));
    }),
    { numRuns: 30 },
  );
});

test("both sets come from the sources; a source without the early set, and one without anything, are told apart", async () => {
  const forecastWith = (present: MintedIntel | undefined, early: MintedIntel | undefined) => {
    const provider = new CollateralProvider({
      sources: [
        {
          name: "test",
          fetch: async (request, signal) => {
            const from = "update" in request && request.update === "early" ? early : present;
            return from === undefined ? undefined : mintedSource(from).fetch(request, signal);
          },
        },
      ],
      anchors: { sgx: [minted.root] },
      floors: memoryFloors(),
      now: () => mintedNow,
      random: () => 0.5,
    });
    return forecastFromProvider(platform, { provider, anchors: { sgx: [minted.root] }, update: "standard", now: mintedNow });
  };
  const told = await forecastWith(minted, mintIntel({ tcbInfo: recovery("2026-06-10T00:00:00Z") }));
  assert.ok("forecast" in told && told.forecast.cause === "recovery");
  const without = await forecastWith(minted, undefined);
  assert.ok("forecast" in without && without.forecast.cause === "certificate");
  const nothing = await forecastWith(undefined, undefined);
  assert.ok("problem" in nothing && /tcb-info/.test(nothing.problem));
});
