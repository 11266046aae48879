import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { testPolicy } from "../testing/policies.ts";
import { createTestClient, startTestCas } from "../testing/test-cas.ts";

const INSTANCES = 100;
const DAY_MS = 86_400_000;

const rest = [
  "secrets:",
  "  - {name: ca_key, kind: private-key, migrate: true}",
  "  - {name: ca, kind: x509-ca, private_key: ca_key, export_public: true}",
  "  - {name: key, kind: private-key, migrate: true}",
  "  - {name: cert, kind: x509, private_key: key, issuer: ca, dns: api, valid_for: 3 days, export_public: true}",
  'images: [{name: i, injection_files: [{path: /cert, content: "$$SCONE::cert$$"}]}]',
].join("\n");

test("hazard D6: a certificate is issued again while a hundred instances run and others ask; each is sent it once, and no request fails", async (t) => {
  let now = new Date("2026-06-01T00:00:00Z");
  const cas = await startTestCas(t, { now: () => now });
  const policy = testPolicy({ name: "shop", security: "{attestation: {mode: none}}", service: "    image_name: i", rest });
  await cas.client(createTestClient()).uploadSession(policy);
  const start = () => cas.attest("shop/api", { evidence: undefined, timeoutMs: 120_000 });
  const running = await Promise.all(Array.from({ length: INSTANCES }, start));
  t.after(() => {
    for (const { connection } of running) connection.close();
  });
  const renewals = running.map(() => [] as string[]);
  const told = running.map(({ connection }, at) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    connection.onRenewal(({ files }) => {
      renewals[at]?.push(Buffer.from(files[0]?.content ?? "", "base64").toString());
      resolve();
    });
    return promise;
  });
  let isOver = false;
  const load = Array.from({ length: 4 }, async (_, worker) => {
    const client = cas.client();
    let served = 0;
    for (; !isOver || served === 0; served += 1) {
      if (worker === 0) (await start()).connection.close();
      else assert.equal((await client.publicValue("shop", "cert")).kind, "x509");
    }
    return served;
  });
  const before = new X509Certificate(String((await cas.client().publicValue("shop", "cert")).value));
  now = new Date(now.getTime() + 2.1 * DAY_MS);
  await Promise.all(told);
  isOver = true;
  for (const served of await Promise.all(load)) assert.ok(served > 0);
  await Promise.all(running.map(({ connection }) => connection.ping()));
  const certificates = new Set(renewals.flat());
  assert.equal(certificates.size, 1, "one new certificate for all");
  assert.deepEqual([...new Set(renewals.map(({ length }) => length))], [1], "sent once to each");
  const after = new X509Certificate([...certificates][0] ?? "");
  const ca = new X509Certificate(String((await cas.client().publicValue("shop", "ca")).value));
  assert.notEqual(after.serialNumber, before.serialNumber);
  assert.ok(before.verify(ca.publicKey) && after.verify(ca.publicKey), "old and new overlap below the same CA");
  assert.ok(after.validFromDate < before.validToDate);
});
