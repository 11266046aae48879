import assert from "node:assert/strict";
import { test } from "node:test";
import type { Evidence } from "@vouchsafe/attestation";
import { type CollateralSource, requestKey } from "@vouchsafe/collateral";
import { type JsonDocument, mintedNow, mintIntel } from "../../../attestation/src/testing/mint-intel.ts";
import { mintedSource } from "../../../collateral/src/testing/minted-source.ts";
import { problem, TEST_CODE, testPolicy } from "../testing/policies.ts";
import { createTestClient, startTestCas } from "../testing/test-cas.ts";

const MRENCLAVE = "3e".repeat(32);

/** A recovery event that raises the first SGX component to 9. */
const recovery = (document: JsonDocument) => {
  const levels = document["tcbLevels"] as (JsonDocument & { tcb: { sgxtcbcomponents: { svn: number }[] } })[];
  const next = structuredClone(levels[0]);
  Object.assign(next?.tcb.sgxtcbcomponents[0] ?? {}, { svn: 9 });
  Object.assign(levels[0] ?? {}, { tcbStatus: "OutOfDate", advisoryIDs: ["INTEL-SA-01234"] });
  if (next !== undefined) levels.unshift(Object.assign(next, { tcbDate: "2026-06-10T00:00:00Z" }));
  Object.assign(document, { tcbEvaluationDataNumber: 21 });
};

const minted = mintIntel();
const [standard, early] = [mintedSource(minted), mintedSource(mintIntel({ tcbInfo: recovery }))];
const source: CollateralSource = {
  name: "minted",
  fetch: (request, signal) => (requestKey(request).endsWith("/early") ? early : standard).fetch(request, signal),
};
const evidence = async (userData: Uint8Array): Promise<Evidence> => ({
  kind: "sgx",
  bytes: mintIntel({ body: (body) => body.set(userData, 320) }).quote,
});
const policy = (name: string, platform: string) =>
  testPolicy({ name, security: `{attestation: {evidence: [sgx]${platform}}}` }).replace(TEST_CODE, MRENCLAVE);

test("the owner sees when each platform falls out of date, what it lacks, and which services would refuse it then", async (t) => {
  const owner = createTestClient();
  const cas = await startTestCas(t, {
    now: () => mintedNow,
    trustAnchors: { sgx: [minted.root] },
    collateral: { sources: [source] },
    selfProvision: { config: "", owner: { keyHash: owner.keyHash, pem: owner.certificate } },
    metricsListen: { host: "127.0.0.1", port: 0 },
  });
  const client = cas.client(createTestClient());
  const exception = (until: string) =>
    `, exceptions: [{tolerate: [outdated-tcb], ignore_advisories: [INTEL-SA-01234], until: ${until}, because: x}]`;
  await client.uploadSession(policy("strict", ""));
  await client.uploadSession(policy("lax", ', tolerate: [outdated-tcb], ignore_advisories: "*"'));
  await client.uploadSession(policy("soon", exception("2026-06-30")));
  await client.uploadSession(policy("late", exception("2026-12-31")));
  for (const name of ["strict", "lax", "soon", "late"]) (await cas.attest(`${name}/api`, { evidence })).connection.close();

  await assert.rejects(client.collateralForecast(), problem("forbidden"));
  await assert.rejects(client.collateral(), problem("forbidden"));
  const forecast = await cas.client(owner).collateralForecast();
  assert.equal(forecast.update, "standard");
  const [row] = forecast.platforms;
  assert.equal(forecast.platforms.length, 1);
  assert.deepEqual([row?.kind, row?.cause, row?.daysLeft, row?.fallsOn], ["sgx", "recovery", 36, "2026-07-22T00:00:00.000Z"]);
  assert.deepEqual(row?.shortfalls, [{ component: "SGX component 1", found: 5, needed: 9 }]);
  assert.deepEqual([row?.present?.status, row?.newest?.status, row?.newest?.evaluationNumber], ["UpToDate", "OutOfDate", 21]);
  assert.deepEqual(row?.services, ["late/api", "lax/api", "soon/api", "strict/api"]);
  assert.deepEqual(
    row?.refusedBy.map(({ service }) => service),
    ["soon/api", "strict/api"],
  );
  assert.match(row?.refusedBy[0]?.reasons.join() ?? "", /an exception that admitted it ended on 2026-06-30/);

  const metrics = await (await fetch(`http://127.0.0.1:${cas.running.metricsAddress?.port}/metrics`)).text();
  assert.match(metrics, /vouchsafe_cas_platforms 1\n/);
  assert.match(metrics, /vouchsafe_cas_platforms_out_of_date_within\{days="30"\} 0\n/);
  assert.match(metrics, /vouchsafe_cas_platforms_out_of_date_within\{days="90"\} 1\n/);
  assert.match(metrics, /vouchsafe_cas_policy_exceptions\{state="ending"\} 0\n/);
  assert.match(metrics, /vouchsafe_cas_policy_exceptions\{state="active"\} 2\n/);

  const { documents } = await cas.client(owner).collateral();
  assert.deepEqual(
    documents.filter(({ document }) => document.includes("tcb-info")).map(({ document, evaluationNumber }) => [document, evaluationNumber]),
    [
      ["intel/sgx/tcb-info/00906ed50000/early", 21],
      ["intel/sgx/tcb-info/00906ed50000/standard", 20],
    ],
  );
  assert.match((await cas.client(owner).healthReport()).collateral, /^6 documents, the first ends on 2026-07-01/);

  await cas.restart();
  assert.equal((await cas.client(owner).collateralForecast()).platforms[0]?.daysLeft, 36, "platforms are remembered");
});

test("SL-89 an upload warns of exceptions that end, and whoever may read the session sees how long each lasts", async (t) => {
  const cas = await startTestCas(t, { now: () => mintedNow });
  const reader = createTestClient();
  const exceptions = [
    '{tolerate: [outdated-tcb], until: 2026-06-01, because: "over"}',
    '{tolerate: [hyperthreading], until: 2026-06-20, because: "ends soon"}',
    '{ignore_advisories: [INTEL-SA-00615], until: 2027-06-20, because: "later"}',
  ];
  const { warnings } = await cas.client(reader).uploadSession(policy("shop", `, exceptions: [${exceptions.join(", ")}]`));
  assert.deepEqual(
    warnings.map(({ rule, path, message }) => [rule, path, message]),
    [
      ["SL-89", "security.attestation.exceptions", "the exception until 2026-06-01T23:59:59Z has ended: over"],
      ["SL-89", "security.attestation.exceptions", "the exception until 2026-06-20T23:59:59Z ends in 5 days: ends soon"],
    ],
  );
  const listed = await cas.client(reader).sessionExceptions("shop");
  assert.deepEqual(
    listed.exceptions.map(({ because, state, daysLeft }) => [because, state, daysLeft]),
    [
      ["over", "ended", 0],
      ["ends soon", "ending", 5],
      ["later", "active", 370],
    ],
  );
  await assert.rejects(cas.client(createTestClient()).sessionExceptions("shop"), problem("not_found"));
});
