import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createSimulatedPlatform, simulatedCodeIdentity, simulateEvidence } from "@vouchsafe/attestation";
import { TEST_CODE, TEST_WORKLOAD, testPolicy } from "../testing/policies.ts";
import { createTestClient, startTestCas } from "../testing/test-cas.ts";
import { openDevelopmentPlatform } from "./development-platform.ts";

const now = new Date("2026-06-01T12:00:00Z");
const later = (days: number) => new Date(now.getTime() + days * 86_400_000);

test("a development root is made once, for its owner's eyes only, and certified anew before its year is over", (t) => {
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-development-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const first = openDevelopmentPlatform(join(directory, "platform"), now);
  assert.equal(statSync(join(directory, "platform", "keys.json")).mode & 0o777, 0o600);
  assert.deepEqual(openDevelopmentPlatform(join(directory, "platform"), later(200)).root, first.root);
  const renewed = openDevelopmentPlatform(join(directory, "platform"), later(320));
  assert.notDeepEqual(renewed.root, first.root);
  assert.ok(renewed.keys.root.equals(first.keys.root));
  assert.match(new X509Certificate(first.root).subject, /Vouchsafe development: proves nothing/);
});

test("SL-86, hazard A21, field/2026-07-mock-in-production: a production CAS cannot hold a development root, and one that holds it says so to everybody", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-development-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const { root } = openDevelopmentPlatform(directory, new Date());
  const trustAnchors = { simulated: [root] };
  await assert.rejects(startTestCas(t, { trustAnchors, selfProvision: undefined }), /a production CAS cannot hold a development root/);

  const production = await startTestCas(t, { selfProvision: undefined });
  const owner = production.client(createTestClient());
  await owner.provision(production.running.provisioningToken ?? assert.fail(), "");
  assert.equal((await owner.version()).developmentRoot, false);
  await assert.rejects(production.restart({ trustAnchors }), /a production CAS cannot hold a development root/);
  await assert.rejects(production.restart({ trustAnchors, selfProvision: { config: "" } }), /a production CAS cannot hold/);

  const development = await startTestCas(t, { trustAnchors });
  const client = development.client();
  assert.equal((await client.version()).developmentRoot, true);
  assert.equal(JSON.parse((await client.attest("")).statement).developmentRoot, true);
  assert.ok(development.lines.some((line) => line.includes("DEVELOPMENT ONLY")));
});

test("SL-86: certificates of a policy that names simulated evidence say what they are, others do not", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-development-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const { keys, root } = openDevelopmentPlatform(directory, new Date());
  const platform = createSimulatedPlatform(keys, root, new Date());
  const cas = await startTestCas(t, { trustAnchors: { simulated: [root] } });
  const client = cas.client(createTestClient());
  const rest = `
secrets:
  - {name: key, kind: private-key}
  - {name: certificate, kind: x509, private_key: key, common_name: api, export_public: true}`;
  const policy = (name: string, evidence: string) =>
    testPolicy({ name, security: `{attestation: {evidence: [${evidence}]}}`, rest }).replace(
      TEST_CODE,
      simulatedCodeIdentity("tdx", TEST_WORKLOAD),
    );
  for (const [name, evidence] of Object.entries({ marked: "node, simulated", plain: "node" })) {
    await client.uploadSession(policy(name, evidence));
    const { value } = await client.publicValue(name, "certificate");
    assert.equal(new X509Certificate(String(value)).raw.includes("DEVELOPMENT ONLY"), name === "marked");
  }
  const evidence = async (userData: Uint8Array) => simulateEvidence(platform, "tdx", { userData, workload: TEST_WORKLOAD });
  const { configuration, connection } = await cas.attest("marked/api", { evidence });
  connection.close();
  assert.match(configuration.warnings.join(), /DEVELOPMENT ONLY/);
  assert.ok(cas.lines.some((line) => /DEVELOPMENT ONLY: marked\/api is admitted on simulated evidence \(tdx\)/.test(line)));
});
