import assert from "node:assert/strict";
import { test } from "node:test";
import type { TcbStatus } from "@vouchsafe/attestation";
import { DEFAULT_PLATFORM_RULES, PLATFORM_WEAKNESSES, type PlatformException, type PlatformRules, type Tolerable } from "@vouchsafe/policy";
import fc from "fast-check";
import { appraisePlatform } from "./appraise-platform.ts";

const now = new Date("2026-06-15T12:00:00Z");
const rules = (changes: Partial<PlatformRules<never>> = {}): PlatformRules<never> => ({ ...DEFAULT_PLATFORM_RULES, ...changes });
const state = (status: TcbStatus, advisories: readonly string[] = [], debug = false) => ({ debug, tcb: { status, advisories } });
const exception = (changes: Partial<PlatformException> = {}): PlatformException => ({
  tolerate: ["outdated-tcb"],
  ignoreAdvisories: [],
  until: "2026-06-30T23:59:59Z",
  because: "the BIOS comes in June",
  ...changes,
});

/** hazard A4: status × tolerance. A row is accepted by exactly the sets that hold all that stands there. */
const TABLE: readonly [TcbStatus, readonly Tolerable[] | "never"][] = [
  ["UpToDate", []],
  ["SWHardeningNeeded", ["software-hardening-needed"]],
  ["ConfigurationNeeded", ["insecure-configuration"]],
  ["ConfigurationAndSWHardeningNeeded", ["software-hardening-needed", "insecure-configuration"]],
  ["OutOfDate", ["outdated-tcb"]],
  ["OutOfDateConfigurationNeeded", ["outdated-tcb", "insecure-configuration"]],
  ["Revoked", "never"],
  ["Unknown", "never"],
];
const CATEGORIES: readonly Tolerable[] = ["software-hardening-needed", "insecure-configuration", "outdated-tcb"];
const subsets = CATEGORIES.reduce<readonly (readonly Tolerable[])[]>(
  (sets, item) => sets.concat(sets.map((set) => set.concat(item))),
  [[]],
);

for (const [status, needed] of TABLE) {
  test(`hazard A4, C-48: ${status} is accepted by exactly ${needed === "never" ? "nothing" : needed.join(" and ") || "everything"}`, () => {
    for (const tolerate of subsets) {
      const { problems } = appraisePlatform(state(status), rules({ tolerate }), now);
      const expected = needed !== "never" && needed.every((category) => tolerate.includes(category));
      assert.equal(problems.length === 0, expected, `tolerate: ${tolerate.join(", ")}`);
      const byException = rules({ exceptions: [exception({ tolerate: tolerate as PlatformException["tolerate"] })] });
      assert.equal(appraisePlatform(state(status), byException, now).problems.length === 0, expected, "by exception");
    }
  });
}

test("SL-89 clock: an exception admits up to its last instant, and the refusal after that names it with its reason", () => {
  const accepting = rules({ exceptions: [exception()] });
  const at = (time: string) => appraisePlatform(state("OutOfDate"), accepting, new Date(time));
  assert.deepEqual(at("2026-06-30T23:59:59Z"), { problems: [], hiddenAdvisories: [], exceptions: [exception()] });
  const { problems } = at("2026-07-01T00:00:00Z");
  assert.match(
    problems.map(({ message }) => message).join("\n"),
    /status is OutOfDate.*\nan exception that admitted it ended on 2026-06-30T23:59:59Z: the BIOS comes in June/,
  );
});

test("SL-89 an exception counts only where it is needed, together with what the session tolerates anyway", () => {
  const one = exception({ ignoreAdvisories: ["INTEL-SA-00615"] });
  assert.deepEqual(appraisePlatform(state("UpToDate"), rules({ exceptions: [one] }), now).exceptions, []);
  assert.deepEqual(appraisePlatform(state("OutOfDate", ["INTEL-SA-00615"]), rules({ exceptions: [one] }), now).exceptions, [one]);
  const mixed = rules({ tolerate: ["insecure-configuration"], exceptions: [one] });
  assert.deepEqual(appraisePlatform(state("OutOfDateConfigurationNeeded", ["INTEL-SA-00615"]), mixed, now).exceptions, [one]);
  const refused = appraisePlatform(state("OutOfDate", ["INTEL-SA-00001"]), rules({ exceptions: [one] }), now);
  assert.match(refused.problems.map(({ message }) => message).join(), /ignore_advisories: INTEL-SA-00001/);
  const unrelated = exception({ tolerate: ["hyperthreading"], until: "2026-01-01T00:00:00Z", because: "another story" });
  assert.doesNotMatch(
    appraisePlatform(state("OutOfDate"), rules({ exceptions: [unrelated] }), now)
      .problems.map(({ message }) => message)
      .join(),
    /another story/,
  );
  assert.deepEqual(appraisePlatform(state("OutOfDate"), rules({ exceptions: [one, { ...one }] }), now).exceptions.length, 2);
});

test("hazard A12: a guest that lets its host in is refused, unless insecure-configuration is tolerated", () => {
  const weak = { ...state("UpToDate"), weaknesses: ["MIGRATABLE is on"] };
  assert.match(
    appraisePlatform(weak, rules(), now)
      .problems.map(({ message }) => message)
      .join(),
    /MIGRATABLE is on.*tolerate: insecure-configuration/,
  );
  assert.equal(appraisePlatform(weak, rules({ tolerate: ["outdated-tcb", "debug-mode"] }), now).problems.length, 1);
  assert.deepEqual(appraisePlatform(weak, rules({ tolerate: ["insecure-configuration"] }), now).problems, []);
  assert.deepEqual(appraisePlatform({ ...weak, weaknesses: [] }, rules(), now).problems, []);
});

test("debug, revoked and unknown platforms are admitted by no exception", () => {
  const all = rules({ exceptions: [exception({ tolerate: [...PLATFORM_WEAKNESSES] })] });
  for (const each of [state("UpToDate", [], true), state("Revoked"), state("Unknown")]) {
    assert.notDeepEqual(appraisePlatform(each, all, now).problems, []);
  }
});

test("an exception never takes anything away, and without time it is what tolerating for ever would be", () => {
  const weaknesses = fc.subarray([...PLATFORM_WEAKNESSES]);
  const advisories = fc.subarray(["INTEL-SA-00233", "INTEL-SA-00615", "INTEL-SA-00657"]);
  const statuses = fc.constantFrom(...TABLE.map(([status]) => status));
  fc.assert(
    fc.property(statuses, advisories, weaknesses, weaknesses, advisories, (status, found, tolerate, more, ignoreAdvisories) => {
      const platform = state(status, found);
      const plain = appraisePlatform(platform, rules({ tolerate }), now);
      const relaxed = appraisePlatform(platform, rules({ tolerate, exceptions: [exception({ tolerate: more, ignoreAdvisories })] }), now);
      const forEver = appraisePlatform(platform, rules({ tolerate: [...tolerate, ...more], ignoreAdvisories }), now);
      if (plain.problems.length === 0) assert.deepEqual(relaxed.problems, []);
      assert.equal(relaxed.problems.length === 0, forEver.problems.length === 0 || plain.problems.length === 0);
    }),
  );
});

test("every refusal of a platform names the field of the policy that would admit it", () => {
  const refused = (platform: Parameters<typeof appraisePlatform>[0], by = rules()) =>
    appraisePlatform(platform, by, now).problems.map(({ path, field, found, remedy }) => ({ path: path.join("."), field, found, remedy }));
  const [status, advisories] = refused({ debug: false, tcb: { status: "OutOfDate", advisories: ["INTEL-SA-00615"] } });
  assert.deepEqual([status?.path, status?.field, status?.found], ["security.attestation.tolerate", "TCB status", "OutOfDate"]);
  assert.match(status?.remedy ?? "", /tolerate: outdated-tcb/);
  assert.deepEqual([advisories?.path, advisories?.found], ["security.attestation.ignore_advisories", "INTEL-SA-00615"]);
  const shortfalls = [{ component: "PCE", found: 11, needed: 13 }];
  const behind = { debug: false, tcb: { status: "OutOfDate", advisories: [], shortfalls } } as const;
  assert.equal(refused(behind)[0]?.remedy, "Update the platform (PCE from 11 to 13), or tolerate: outdated-tcb.");
  assert.match(
    appraisePlatform(behind, rules(), now).problems[0]?.message ?? "",
    /^the platform's status is OutOfDate \(PCE from 11 to 13\);/,
  );
  const ended = exception({ tolerate: ["outdated-tcb"], until: "2020-01-01T00:00:00Z" });
  assert.deepEqual(
    refused({ debug: true, tcb: { status: "UpToDate", advisories: [] } }).map(({ field }) => field),
    ["debug"],
  );
  assert.deepEqual(
    refused({ debug: false, tcb: { status: "OutOfDate", advisories: [] } }, rules({ exceptions: [ended] })).map(({ path }) => path),
    ["security.attestation.tolerate", "security.attestation.exceptions.0"],
  );
});

test("SL-89 of several exceptions those count without which the platform is refused; those that do not suffice admit nothing", () => {
  const [one, unrelated] = [exception(), exception({ tolerate: ["hyperthreading"], because: "another story" })];
  assert.deepEqual(appraisePlatform(state("OutOfDate"), rules({ exceptions: [one, unrelated] }), now).exceptions, [one]);
  const refused = appraisePlatform(state("OutOfDate", ["INTEL-SA-00001"]), rules({ exceptions: [one] }), now);
  assert.deepEqual([refused.problems.length, refused.exceptions], [1, []]);
});

test("SL-89 an exception that is over harms no platform that needs none", () => {
  const over = exception({ until: "2026-01-01T00:00:00Z" });
  assert.deepEqual(appraisePlatform(state("UpToDate"), rules({ exceptions: [over] }), now).problems, []);
});

test("C-48 debug is admitted by debug-mode alone; what cannot be tolerated says what helps instead", () => {
  assert.deepEqual(appraisePlatform(state("UpToDate", [], true), rules({ tolerate: ["debug-mode"] }), now).problems, []);
  assert.equal(appraisePlatform(state("UpToDate", [], true), rules({ tolerate: ["insecure-configuration"] }), now).problems.length, 1);
  const remedy = (status: TcbStatus) => appraisePlatform(state(status), rules(), now).problems[0]?.remedy;
  assert.deepEqual(
    [remedy("Revoked"), remedy("Unknown")],
    ["Use another platform: no policy can tolerate this.", "Give the platform's collateral."],
  );
});

test("SL-90 advisories that are not ignored are named beside those that are", () => {
  const expected = (ignoreAdvisories: readonly string[]) =>
    appraisePlatform(state("UpToDate", ["INTEL-SA-1", "INTEL-SA-2"]), rules({ ignoreAdvisories }), now).problems[0];
  assert.deepEqual([expected([])?.expected, expected([])?.found], ["none", "INTEL-SA-1, INTEL-SA-2"]);
  assert.deepEqual([expected(["INTEL-SA-1"])?.expected, expected(["INTEL-SA-1"])?.found], ["none but INTEL-SA-1", "INTEL-SA-2"]);
});

test("SL-90 the wildcard ignores every advisory and hides none: those that only it covers are told", () => {
  const { problems, hiddenAdvisories } = appraisePlatform(state("UpToDate", ["INTEL-SA-1"]), rules({ ignoreAdvisories: "*" }), now);
  assert.deepEqual([problems, hiddenAdvisories], [[], ["INTEL-SA-1"]]);
});
