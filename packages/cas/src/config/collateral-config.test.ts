import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { mintIntel } from "../../../attestation/src/testing/mint-intel.ts";
import { startCollateralServer } from "../../../collateral/src/testing/collateral-server.ts";
import { parseAvailabilityConfig } from "./availability-config.ts";

const parse = (collateral: string) =>
  parseAvailabilityConfig(`[database]\npath = "/x/cas.db"\n[collateral]\n${collateral}`, "cas.toml").collateral;

test("[collateral] names sources in the order in which they are asked, bundles first; offline leaves the bundles", () => {
  const text = 'bundles = ["/b/one.json"]\nintel = ["https://pccs:8081", "https://api.trustedservices.intel.com"]\namd = ["https://kds"]\n';
  const read = parse(`${text}cache_directory = "/c"\nupdate = "early"\nmax_age_days = 7\nrefresh_hours = 6\n`);
  assert.deepEqual(
    read?.sources.map(({ name }) => name),
    ["one.json", "pccs:8081", "api.trustedservices.intel.com", "kds"],
  );
  assert.deepEqual([read?.cacheDirectory, read?.update, read?.maxAgeDays, read?.refreshIntervalMs], ["/c", "early", 7, 21_600_000]);
  assert.deepEqual(
    parse(`${text}offline = true\n`)?.sources.map(({ name }) => name),
    ["one.json"],
  );
  assert.deepEqual(parse("")?.sources, []);
  assert.equal(parseAvailabilityConfig('[database]\npath = "/x/cas.db"', "cas.toml").collateral, undefined);
});

for (const [rule, text] of [
  ["an address that is none", 'intel = ["pccs:8081"]'],
  ["another protocol", 'amd = ["file:///etc/passwd"]'],
  ["an unknown key", 'pccs = "https://x"'],
  ["an unknown update", 'update = "late"'],
  ["an age of nothing", "max_age_days = 0"],
  ["a CA file that is not there", 'ca_certificate_file = "/does/not/exist.pem"'],
] as const) {
  test(`[collateral] with ${rule} is refused`, () => {
    assert.throws(() => parse(text), { code: "CONFIGURATION", message: /cas\.toml:(?:\d+:\d+:)? collateral/ });
  });
}

test("what the configuration names is asked, under the authority that it names", async (t) => {
  const minted = mintIntel();
  const server = await startCollateralServer(t, { tls: true });
  server.serveIntel(minted);
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-cas-config-"));
  t.after(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, "ca.pem"), server.ca ?? "");
  const url = new URL("sgx/certification/v4/", server.url).href; // as the quoting libraries write it
  const [source] =
    parse(`intel = [${JSON.stringify(url)}]\nca_certificate_file = ${JSON.stringify(join(directory, "ca.pem"))}`)?.sources ?? [];
  const answer = await source?.fetch({ kind: "root-ca-crl" }, new AbortController().signal);
  assert.deepEqual(Buffer.from(answer?.body ?? []), Buffer.from(minted.collateral.rootCaCrl ?? []));
});
