import assert from "node:assert/strict";
import { test } from "node:test";
import { problem, TEST_CODE } from "./testing/policies.ts";
import { createTestClient, startTestCas } from "./testing/test-cas.ts";

const POLICY = `
version: "0.3"
name: shop
services:
  - name: api
    command: [python3, /app/api.py, "@@1"]
    environment: {PIN: "$$SCONE::pin$$", "@@HOME_DIR": ""}
    pwd: /
    image_name: api
    attestation: {mrenclave: [CODE]}
secrets:
  - {name: pin, kind: ascii, size: 12}
  - {name: key, kind: private-key, migrate: true}
  - {name: ca, kind: x509-ca, private_key: key, export_public: true}
  - {name: server_key, kind: private-key}
  - {name: server, kind: x509, private_key: server_key, issuer: ca, dns: api, endpoint: server, valid_for: 10 days}
images:
  - name: api
    injection_files:
      - {path: /tls/server.pem, content: "$$SCONE::server:chain$$$$SCONE::server$$", permission: 0o400}
      - /etc/template
security: {attestation: {evidence: [node]}}
access_policy: {read: [CREATOR], update: [CREATOR]}
`;

const policy = POLICY.replace("CODE", TEST_CODE);

test("C-29, C-30, C-34: a session is created, read, attested and updated, and survives a restart", async (t) => {
  const cas = await startTestCas(t);
  const owner = createTestClient();
  const client = cas.client(owner);
  const created = await client.uploadSession(policy);
  assert.match(created.hash, /^[0-9a-f]{64}$/);
  assert.equal((await client.uploadSession(policy)).hash, created.hash, "C-24");
  const read = await client.readSession("shop");
  assert.equal(read.hash, created.hash);
  assert.match(read.text, /name: shop/);
  const values = await cas.client().publicValues("shop");
  assert.deepEqual([...values.keys()], ["ca"]);
  await assert.rejects(cas.client(createTestClient()).readSession("shop"), problem("not_found"));
  const { configuration, connection } = await cas.attest("shop/api");
  connection.close();
  assert.equal(configuration.environment["PIN"]?.length, 12);
  assert.deepEqual(configuration.hostArguments, [{ at: 2, hostArgument: 1 }]);
  assert.deepEqual(configuration.hostVariables, ["HOME_DIR"]);
  assert.equal(configuration.files.length, 2);
  await cas.restart();
  const again = await cas.attest("shop/api");
  again.connection.close();
  assert.deepEqual(again.configuration, configuration);
});
