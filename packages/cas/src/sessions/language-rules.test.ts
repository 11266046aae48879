import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { encodeSignedSession, signSession } from "@vouchsafe/policy";
import { mintedNow, mintIntel } from "../../../attestation/src/testing/mint-intel.ts";
import { mintedSource } from "../../../collateral/src/testing/minted-source.ts";
import { problem, refusal, TEST_CODE, testPolicy } from "../testing/policies.ts";
import { createTestClient, startTestCas } from "../testing/test-cas.ts";
import { startLogServer } from "../testing/test-log-server.ts";

/** Rules of the language that only a CAS can keep, each in one test. */

const HEAD = 'version: "0.3"\n';
const OPEN = "{attestation: {mode: none}}";

test("SL-39 names are in the log for whoever reads it; secrets, arguments and hashes without salt are not", async (t) => {
  const cas = await startTestCas(t, { selfProvision: { config: '[audit_log]\nmode = "unsigned"\n' } });
  const rest = "secrets: [{name: pw, kind: ascii, value: canary-1}]";
  const { hash } = await cas
    .client(createTestClient())
    .uploadSession(testPolicy({ name: "shop", security: OPEN, rest }).replace("/app/api.py", "canary-2"));
  (await cas.attest("shop/api", { evidence: undefined })).connection.close();
  const text = readFileSync(join(cas.directory, "audit", "cas_audit.log"), "utf8");
  assert.match(text, /"session_created".*"session":"shop"/);
  assert.match(text, /"service_attested".*"service":"shop\/api"/);
  for (const hidden of ["canary", hash]) assert.equal(text.includes(hidden), false, hidden);
});

test("SL-46 create needs a free name, update an existing one; only the command line fills in a predecessor", async (t) => {
  const cas = await startTestCas(t);
  const client = cas.client(createTestClient());
  await assert.rejects(client.uploadSession(`${HEAD}name: s\npredecessor: ${"ab".repeat(32)}\n`), problem("not_found", /does not exist/));
  await client.uploadSession(`${HEAD}name: s\n`);
  await assert.rejects(
    client.uploadSession(`${HEAD}name: s\nsalt: ${"ab".repeat(16)}\n`),
    problem("exists", /session s exists; expected a predecessor/),
  );
});

test("SL-81, SL-93 a debug program is refused whatever variant matches; the refusal says what would admit it, and that it proves nothing", async (t) => {
  const minted = mintIntel();
  const cas = await startTestCas(t, {
    now: () => mintedNow,
    trustAnchors: { sgx: [minted.root] },
    collateral: { sources: [mintedSource(minted)] },
  });
  const client = cas.client(createTestClient());
  const policy = (name: string, tolerate: string) =>
    testPolicy({ name, security: `{attestation: {evidence: [sgx], tolerate: [${tolerate}]}}` }).replace(TEST_CODE, "3e".repeat(32));
  await client.uploadSession(policy("strict", ""));
  await client.uploadSession(policy("lax", "debug-mode"));
  const evidence = (isDebug: boolean) => async (userData: Uint8Array) => {
    const { quote } = mintIntel({
      body: (body) => {
        body.set(userData, 320);
        if (isDebug) body[48] = (body[48] ?? 0) | 2;
      },
    });
    return { kind: "sgx", bytes: quote } as const;
  };
  (await cas.attest("strict/api", { evidence: evidence(false) })).connection.close();
  await assert.rejects(
    cas.attest("strict/api", { evidence: evidence(true) }),
    refusal("policy_unmet", "platform-state", /debug mode; tolerate: debug-mode would admit it[\s\S]*this message is not authenticated/),
  );
  (await cas.attest("lax/api", { evidence: evidence(true) })).connection.close();
});

test("SL-158 an update whose log entry cannot be written changes nothing: neither document nor values", async (t) => {
  const log = await startLogServer(t);
  const owner = createTestClient();
  const cas = await startTestCas(t, { selfProvision: { config: log.config, owner: { keyHash: owner.keyHash, pem: owner.certificate } } });
  const client = cas.client(owner);
  const text = (size: number, more = "") =>
    `${HEAD}name: s\n${more}secrets: [{name: a, kind: binary, size: ${size}, export_public: true}]\n`;
  const { hash } = await client.uploadSession(text(8));
  const before = await client.publicValues("s");
  log.status = 500;
  await assert.rejects(client.uploadSession(text(9, `predecessor: ${hash}\n`)), problem("audit_unavailable", /nothing was changed/));
  log.status = 204;
  assert.equal((await client.readSessionHash("s")).hash, hash);
  assert.deepEqual(await client.publicValues("s"), before);
  await client.uploadSession(text(9, `predecessor: ${hash}\n`));
  assert.notDeepEqual(await client.publicValues("s"), before, "the old value is gone with the update");
});

test("SL-161 a change of a volume that was acknowledged is known after a restart", async (t) => {
  const cas = await startTestCas(t);
  const rest = "volumes: [{name: data}]\nimages: [{name: i, volumes: [{name: data, path: /data}]}]";
  await cas.client(createTestClient()).uploadSession(testPolicy({ name: "shop", security: OPEN, service: "    image_name: i", rest }));
  const { connection } = await cas.attest("shop/api", { evidence: undefined });
  await connection.reportTag({ kind: "volume", name: "data" }, null, "11".repeat(16));
  await cas.restart();
  const again = await cas.attest("shop/api", { evidence: undefined });
  again.connection.close();
  assert.equal(again.configuration.volumes[0]?.tag, "11".repeat(16));
});

test("SL-184 access policies do not govern services, and owning the CAS gives no access to sessions", async (t) => {
  const owner = createTestClient();
  const cas = await startTestCas(t, { selfProvision: { config: "", owner: { keyHash: owner.keyHash, pem: owner.certificate } } });
  const rest = "secrets: [{name: pw, kind: ascii}]\naccess_policy: {read: NONE, update: NONE}";
  const service = `    environment: {PW: "$$SCONE::pw$$"}`;
  await cas.client(createTestClient()).uploadSession(testPolicy({ name: "closed", security: OPEN, service, rest }));
  const { configuration, connection } = await cas.attest("closed/api", { evidence: undefined });
  connection.close();
  assert.equal(configuration.environment["PW"]?.length, 20);
  await assert.rejects(cas.client(owner).readSession("closed"), problem("not_found"));
});

test("SL-191, SL-193 a signed creation is good once for a name and CAS, elsewhere again, and nowhere else with a namespace hash", async (t) => {
  const [cas, other] = [await startTestCas(t), await startTestCas(t)];
  const key = generateKeyPairSync("ed25519").privateKey;
  const sign = (text: string) => encodeSignedSession(signSession(text, key));
  const signed = sign(`${HEAD}name: s\nsalt: ${"ab".repeat(16)}\n`);
  await cas.client().uploadSignedSession(signed);
  await cas
    .client()
    .uploadSignedSession(
      sign(`${HEAD}name: s\nsalt: ${"ab".repeat(16)}\npredecessor: ${(await cas.client().readSessionHash("s")).hash}\n`),
    );
  await assert.rejects(cas.client().uploadSignedSession(signed), problem("exists"));
  await other.client().uploadSignedSession(signed);
  const parents = [];
  for (const [each, salt] of [
    [cas, "01"],
    [other, "02"],
  ] as const) {
    const text = `${HEAD}name: ns\nsalt: ${salt.repeat(16)}\naccess_policy: {create_sessions: ANY}\n`;
    parents.push((await each.client(createTestClient()).uploadSession(text)).hash);
  }
  const bound = sign(`${HEAD}name: ns/s\nsalt: ${"ab".repeat(16)}\nnamespace_hash: ${parents[0]}\n`);
  await assert.rejects(other.client().uploadSignedSession(bound), problem("namespace_hash_mismatch"));
  await cas.client().uploadSignedSession(bound);
});
