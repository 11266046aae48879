import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createTestClient, startTestCas, type TestCas } from "../testing/test-cas.ts";

const COUNT = 40;

function policy(predecessor: string | undefined): string {
  const certificates = Array.from(
    { length: COUNT },
    (_, at) => `  - {name: c${at}, kind: x509, private_key: k, dns: a.example, export_public: true}`,
  );
  return [
    'version: "0.3"',
    "name: s",
    ...(predecessor === undefined ? [] : [`predecessor: ${predecessor}`, `salt: ${"ab".repeat(16)}`]),
    "secrets:",
    "  - {name: k, kind: private-key, migrate: true}",
    ...certificates,
    "",
  ].join("\n");
}

const serials = async (cas: TestCas): Promise<string[]> =>
  [...(await cas.client().publicValues("s")).values()].map(({ value }) => new X509Certificate(String(value)).serialNumber);

test("hazard D3, SL-131 serials of two copies of one CAS, restored from the same files, never meet", async (t) => {
  const original = await startTestCas(t);
  const owner = createTestClient();
  const { hash } = await original.client(owner).uploadSession(policy(undefined));
  const before = await serials(original);
  await original.stop();
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-cas-copy-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  cpSync(original.directory, directory, { recursive: true });
  await original.restart();
  const copy = await startTestCas(t, { databasePath: join(directory, "cas.db"), platformKeyPath: join(directory, "platform", "key") });
  assert.equal(copy.running.casKeyHash, original.running.casKeyHash);
  for (const cas of [original, copy]) await cas.client(owner).uploadSession(policy(hash));
  const all = [...before, ...(await serials(original)), ...(await serials(copy))];
  assert.equal(new Set(all).size, 3 * COUNT);
  for (const serial of all) assert.ok(BigInt(`0x${serial}`) < 2n ** 127n && serial.length > 16, "positive, 127 random bits");
});
