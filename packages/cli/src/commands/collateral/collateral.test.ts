import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { encode, Tagged } from "cborg";
import { type JsonDocument, mintIntel } from "../../../../attestation/src/testing/mint-intel.ts";
import { startCollateralServer } from "../../../../collateral/src/testing/collateral-server.ts";
import { CliWorkplace } from "../../testing/run-cli.ts";

const MRENCLAVE = "3e".repeat(32);
const AT = "2026-06-15T12:00:00Z";

const recovery = (document: JsonDocument) => {
  const levels = document["tcbLevels"] as (JsonDocument & { tcb: { sgxtcbcomponents: { svn: number }[] } })[];
  const next = structuredClone(levels[0]);
  Object.assign(next?.tcb.sgxtcbcomponents[0] ?? {}, { svn: 9 });
  Object.assign(levels[0] ?? {}, { tcbStatus: "OutOfDate", advisoryIDs: ["INTEL-SA-01234"] });
  if (next !== undefined) levels.unshift(Object.assign(next, { tcbDate: "2026-06-10T00:00:00Z" }));
  Object.assign(document, { tcbEvaluationDataNumber: 21 });
};

const policy = (platform: string) => `
version: "0.3"
name: shop
security: {attestation: {evidence: [sgx]${platform}}}
services: [{name: api, command: [/api], pwd: /, attestation: {mrenclave: [${MRENCLAVE}]}}]
`;

/** A workplace with evidence and its root, and a server that has its collateral. */
async function prepare(t: Parameters<typeof startCollateralServer>[0]) {
  const minted = mintIntel();
  const server = await startCollateralServer(t, { tls: true });
  server.serveIntel(minted, { update: "standard" });
  server.serveIntel(mintIntel({ tcbInfo: recovery }), { update: "early" });
  const place = new CliWorkplace({
    "ca.pem": server.ca ?? "",
    "lax.yml": policy(', tolerate: [outdated-tcb], ignore_advisories: "*"'),
    "strict.yml": policy(""),
  });
  t.after(() => place[Symbol.dispose]());
  writeFileSync(place.path("quote.bin"), minted.quote);
  writeFileSync(place.path("root.der"), minted.root);
  const trust = ["--root", "root.der", "--at", AT];
  return { server, place, trust, online: [...trust, "--intel", server.url.href, "--ca", "ca.pem"] };
}

test("collateral: fetched from a PCCS, bundled, shown, and used for verification without a network", async (t) => {
  const { server, place, trust, online } = await prepare(t);
  const fetched = await place.run("vouchsafe", ["collateral", "fetch", "quote.bin", ...online]);
  assert.equal(fetched.code, 0, fetched.err);
  assert.match(
    fetched.out,
    /ok {6}intel\/sgx\/tcb-info\/00906ed50000\/early: good until 2026-07-01T00:00:00.000Z, evaluation 21, from 127/,
  );
  assert.equal(readdirSync(place.path("cache", "vouchsafe", "collateral")).length, 6);
  await server.stop();
  const bundled = await place.run("vouchsafe", ["collateral", "bundle", "-o", "c.json", "quote.bin", ...online]);
  assert.equal(bundled.code, 0, bundled.err);
  assert.match(bundled.out, /c\.json: 6 documents, the first ends on 2026-07-01/);
  const shown = await place.run("vouchsafe", ["collateral", "show", "c.json", ...trust, "--json"]);
  assert.equal(shown.code, 0, shown.err);
  assert.equal(JSON.parse(shown.out).documents.length, 6);
  const verified = await place.run("vouchsafe", ["evidence", "verify", "quote.bin", "--collateral", "c.json", ...trust]);
  assert.equal(verified.code, 0, verified.err);
  assert.match(verified.out, /tcb.status: UpToDate/);
});

test("collateral show refuses what is edited, expired, or signed under another root", async (t) => {
  const { place, online } = await prepare(t);
  assert.equal((await place.run("vouchsafe", ["collateral", "bundle", "-o", "c.json", "quote.bin", ...online])).code, 0);
  const expired = await place.run("vouchsafe", ["collateral", "show", "c.json", "--root", "root.der", "--at", "2027-01-01T00:00:00Z"]);
  assert.equal(expired.code, 3);
  assert.match(expired.out, /REFUSED intel\/pck-crl\/platform: .*ended on 2026-07-01/);
  const stranger = await place.run("vouchsafe", ["collateral", "show", "c.json", "--at", AT]);
  assert.equal(stranger.code, 3);
  assert.doesNotMatch(stranger.out, /^ok/m);
  place.write("cut.json", readFileSync(place.path("c.json"), "utf8").slice(0, 500));
  const cut = await place.run("vouchsafe", ["collateral", "show", "cut.json"]);
  assert.equal(cut.code, 1);
  assert.match(cut.err, /error\[COLLATERAL_BUNDLE\].*not JSON/);
});

test("collateral forecast, offline: days left, what is short, and which policy would refuse", async (t) => {
  const { place, trust, online } = await prepare(t);
  assert.equal((await place.run("vouchsafe", ["collateral", "bundle", "-o", "c.json", "quote.bin", ...online])).code, 0);
  const offline = ["collateral", "forecast", "quote.bin", "--offline", "--cache", "none", "--bundle", "c.json", ...trust];
  const text = await place.run("vouchsafe", [...offline, "--policy", "strict.yml", "--policy", "lax.yml"]);
  assert.equal(text.code, 0, text.err);
  assert.match(text.out, /36 days left, until 2026-07-22: Intel's early set says so/);
  assert.match(text.out, /now {4}UpToDate \(evaluation 20\)\n {2}newest OutOfDate \(evaluation 21\) INTEL-SA-01234/);
  assert.match(text.out, /short: {2}SGX component 1 has 5, needs 9/);
  assert.equal(text.out.match(/refused by shop\/api/g)?.length, 1);
  const json = await place.run("vouchsafe", [...offline, "--json", "--fail-within", "40"]);
  assert.equal(json.code, 3, json.err);
  assert.equal(JSON.parse(json.out).platforms[0].daysLeft, 36);
  assert.equal((await place.run("vouchsafe", [...offline, "--fail-within", "30"])).code, 0);
  const nothing = await place.run("vouchsafe", ["collateral", "forecast", "quote.bin", "--offline", "--cache", "empty", ...trust]);
  assert.match(nothing.out, /no forecast: no intel\/sgx\/tcb-info/);
});

test("evidence verify --reference: matches by measurement, refuses other values with what was found", async (t) => {
  const { place, trust, online } = await prepare(t);
  assert.equal((await place.run("vouchsafe", ["collateral", "bundle", "-o", "c.json", "quote.bin", ...online])).code, 0);
  const corim = (digest: Uint8Array, more: readonly (readonly [number, unknown])[] = []) => {
    const measurement = new Map([[1, new Map<number, unknown>([[2, [[1, digest]]], ...more])]]);
    const environment = new Map([
      [
        0,
        new Map([
          [1, "Vouchsafe"],
          [2, "api"],
        ]),
      ],
    ]);
    const comid = new Map<number, unknown>([
      [1, new Map([[0, "build-7"]])],
      [4, new Map([[0, [[environment, [measurement]]]]])],
    ]);
    return encode(
      new Tagged(
        501,
        new Map<number, unknown>([
          [0, "corim-7"],
          [1, [new Tagged(506, encode(comid))]],
        ]),
      ),
    );
  };
  writeFileSync(place.path("right.corim"), corim(Uint8Array.fromHex(MRENCLAVE)));
  writeFileSync(place.path("wrong.corim"), corim(new Uint8Array(32)));
  writeFileSync(place.path("newer.corim"), corim(Uint8Array.fromHex(MRENCLAVE), [[1, new Tagged(553, 9)]]));
  const verify = (...references: string[]) =>
    place.run("vouchsafe", [
      "evidence",
      "verify",
      "quote.bin",
      "--collateral",
      "c.json",
      ...trust,
      ...references.flatMap((file) => ["--reference", file]),
    ]);
  const right = await verify("wrong.corim", "right.corim");
  assert.equal(right.code, 0, right.err);
  assert.match(right.out, /matches the reference value "Vouchsafe api"/);
  const wrong = await verify("wrong.corim");
  assert.equal(wrong.code, 3);
  assert.match(wrong.out, new RegExp(`matches none of 1 reference values; found\\n {2}codeIdentity: ${MRENCLAVE}`));
  assert.equal((await verify("newer.corim")).code, 3);
  const broken = await verify("ca.pem");
  assert.match(broken.out, /EVIDENCE_MALFORMED/);
});
