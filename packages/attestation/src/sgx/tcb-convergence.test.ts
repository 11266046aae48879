import assert from "node:assert/strict";
import { test } from "node:test";
import type { KnownTcbStatus, TcbLevel } from "../collateral/tcb-info.ts";
import { findTdxModuleLevel } from "../tdx/tdx-tcb.ts";
import { converge, isAtLeast, reachesSgxLevel } from "./platform-tcb.ts";
import { fitsMasked } from "./qe-appraisal.ts";

const level = (status: KnownTcbStatus, advisories: readonly string[] = [], date = "2024-01-01"): TcbLevel => ({
  status,
  advisories,
  date: new Date(date),
});

/** Rows: status of the platform. Columns: of a part that is up to date, and one that is out of date (Intel's quote verification library). */
const TABLE: readonly (readonly [platform: KnownTcbStatus, current: KnownTcbStatus, outdated: KnownTcbStatus])[] = [
  ["UpToDate", "UpToDate", "OutOfDate"],
  ["SWHardeningNeeded", "SWHardeningNeeded", "OutOfDate"],
  ["ConfigurationNeeded", "ConfigurationNeeded", "OutOfDateConfigurationNeeded"],
  ["ConfigurationAndSWHardeningNeeded", "ConfigurationAndSWHardeningNeeded", "OutOfDateConfigurationNeeded"],
  ["OutOfDate", "OutOfDate", "OutOfDate"],
  ["OutOfDateConfigurationNeeded", "OutOfDateConfigurationNeeded", "OutOfDateConfigurationNeeded"],
];

for (const [platform, current, outdated] of TABLE) {
  test(`hazard A4: a platform that is ${platform} converges with module and quoting enclave`, () => {
    assert.equal(converge(level(platform), [level("UpToDate"), level("UpToDate")]).status, current);
    assert.equal(converge(level(platform), [level("OutOfDate"), level("UpToDate")]).status, outdated);
    assert.equal(converge(level(platform), [level("UpToDate"), level("OutOfDate")]).status, outdated);
  });
}

test("advisories of all levels are listed once and sorted, the date is the oldest", () => {
  const { advisories, date } = converge(level("OutOfDate", ["INTEL-SA-2", "INTEL-SA-1"], "2025-01-01"), [
    level("UpToDate", ["INTEL-SA-1"], "2023-01-01"),
  ]);
  assert.deepEqual(advisories, ["INTEL-SA-1", "INTEL-SA-2"]);
  assert.equal(date?.toISOString(), "2023-01-01T00:00:00.000Z");
});

test("hazard A5: component lists of different length never compare", () => {
  assert.equal(isAtLeast([1, 2], [1, 2]), true);
  assert.equal(isAtLeast([1, 2], [1]), false);
  assert.equal(isAtLeast([1], [1, 0]), false);
  assert.equal(isAtLeast([], []), true);
});

test("a platform reaches a level with every SGX component and the PCE, and with none of them one lower", () => {
  const svns = [5, 5, 2, 2, 3, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1];
  const wanted = { sgxComponents: svns, pceSvn: 13, tdxComponents: [], status: "UpToDate", advisories: [], date: new Date() } as const;
  assert.equal(reachesSgxLevel({ sgxComponents: svns, pceSvn: 13 }, wanted), true);
  assert.equal(reachesSgxLevel({ sgxComponents: svns.map((svn) => svn + 1), pceSvn: 14 }, wanted), true);
  assert.equal(reachesSgxLevel({ sgxComponents: svns, pceSvn: 12 }, wanted), false);
  for (const [index, svn] of svns.entries())
    if (svn > 0)
      assert.equal(reachesSgxLevel({ sgxComponents: svns.with(index, svn - 1), pceSvn: 14 }, wanted), false, `component ${index + 1}`);
});

test("hazard A5: fields of different length never fit a mask", () => {
  const bytes = (...octets: number[]) => Uint8Array.from(octets);
  assert.equal(fitsMasked(bytes(0x11, 0x22), bytes(0x10, 0x22), bytes(0xf0, 0xff)), true);
  assert.equal(fitsMasked(bytes(0x21, 0x22), bytes(0x10, 0x22), bytes(0xf0, 0xff)), false);
  assert.equal(fitsMasked(bytes(), bytes(1), bytes(1)), false);
  assert.equal(fitsMasked(bytes(1), bytes(1, 2), bytes(1)), false);
  assert.equal(fitsMasked(bytes(2), bytes(1), bytes()), false);
});

test("hazard A12: a document that describes no TDX module at all, as that of an SGX platform, vouches for none", () => {
  const td = { teeTcbSvn: new Uint8Array(16), mrSignerSeam: new Uint8Array(48), seamAttributes: new Uint8Array(8) };
  const info = { tdxModule: undefined, tdxModuleIdentities: [] };
  assert.throws(() => findTdxModuleLevel(info, td), { reason: "tdx-module-mismatch" });
  assert.throws(() => findTdxModuleLevel(info, { ...td, teeTcbSvn: td.teeTcbSvn.with(1, 1) }), { reason: "tdx-module-mismatch" });
});
