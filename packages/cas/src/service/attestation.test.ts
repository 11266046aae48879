import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { test } from "node:test";
import { type Evidence, encodeEvidence, simulatedCodeIdentity, simulateEvidence } from "@vouchsafe/attestation";
import { encodeBase32, totp } from "@vouchsafe/policy";
import {
  type AttestRequest,
  CasVersion,
  connectToCas,
  encodeFrame,
  evidenceUserData,
  generateInstanceKey,
  ProtocolError,
  SERVICE_ALPN,
  signInstanceProof,
} from "@vouchsafe/protocol";
import { newSimulatedPlatform } from "../../../attestation/src/testing/simulated-keys.ts";
import { problem, refusal, TEST_CODE, TEST_WORKLOAD, testPolicy } from "../testing/policies.ts";
import { createTestClient, startTestCas, TestAgent } from "../testing/test-cas.ts";

test("hazards B1, B2, field/2026-04-relayed-evidence: evidence of one connection is refused on another", async (t) => {
  const cas = await startTestCas(t);
  await cas.client(createTestClient()).uploadSession(testPolicy({ name: "shop" }));
  let captured: Evidence | undefined;
  const first = await cas.attest("shop/api", {
    evidence: async (userData) => {
      captured = cas.agent.evidence("shop/api", userData);
      return captured;
    },
  });
  first.connection.close();
  const replayed = captured ?? assert.fail();
  await assert.rejects(cas.attest("shop/api", { evidence: async () => replayed }), refusal("channel_binding", "channel-binding"));
});

test("hazard B3: evidence made for one CAS, or for another service, is refused", async (t) => {
  const cas = await startTestCas(t);
  const other = await startTestCas(t, { nodeKeys: [cas.agent.publicKey] });
  for (const each of [cas, other]) await each.client(createTestClient()).uploadSession(testPolicy({ name: "shop" }));
  await assert.rejects(
    other.attest("shop/api", { evidence: async (userData) => cas.agent.evidence("shop/web", userData) }),
    refusal("channel_binding", "channel-binding", /vouches for service shop\/web/),
  );
  await assert.rejects(other.attest("shop/api", { casKeyHash: cas.running.casKeyHash }), { code: "CAS_IDENTITY" });
});

test("hazard B6: the instance key must be the one that the evidence covers, and must be held", async (t) => {
  const cas = await startTestCas(t);
  await cas.client(createTestClient()).uploadSession(testPolicy({ name: "shop" }));
  const { socket, identity } = await connectToCas({ ...cas.running.serviceAddress, pin: {}, alpn: SERVICE_ALPN, timeoutMs: 5000 });
  t.after(() => socket.destroy());
  const [bound, other] = [generateInstanceKey(), generateInstanceKey()];
  const spki = (key: typeof bound) => {
    const jwk = key.export({ format: "jwk" });
    return Buffer.concat([
      Buffer.from("3059301306072a8648ce3d020106082a8648ce3d03010703420004", "hex"),
      Buffer.from(jwk.x ?? "", "base64url"),
      Buffer.from(jwk.y ?? "", "base64url"),
    ]);
  };
  const exporter = socket.exportKeyingMaterial(32, "EXPORTER-Channel-Binding", Buffer.alloc(0));
  const userData = evidenceUserData({ exporter, casKey: identity.casKey, instanceKey: spki(bound), service: "shop/api" });
  const request: AttestRequest = {
    type: "attest",
    version: 1,
    service: "shop/api",
    evidence: { ...encodeEvidence(cas.agent.evidence("shop/api", userData)), endorsements: {} },
    instanceKey: spki(bound).toString("base64"),
    instanceProof: signInstanceProof(userData, other).toBase64(),
    runtimeVersion: "test",
  };
  socket.write(encodeFrame(request));
  const answer = await new Promise<string>((resolve) => socket.once("data", (chunk: Buffer) => resolve(chunk.subarray(4).toString())));
  assert.match(answer, /does not hold the key/);
});

test("hazard B11: a client that pins the key refuses another CAS before it sends anything", async (t) => {
  const cas = await startTestCas(t);
  const wrong = createTestClient().keyHash;
  let wasAsked = false;
  const evidence = async (): Promise<Evidence> => {
    wasAsked = true;
    return assert.fail();
  };
  await assert.rejects(cas.attest("shop/api", { casKeyHash: wrong, evidence }), { code: "CAS_IDENTITY" });
  assert.equal(wasAsked, false);
});

test("C-37: the first failed step decides, with every reason", async (t) => {
  const cas = await startTestCas(t);
  const client = cas.client(createTestClient());
  await client.uploadSession(testPolicy({ name: "shop" }));
  await client.uploadSession(testPolicy({ name: "hardware", security: "{}" }));
  await client.uploadSession(testPolicy({ name: "pinned", service: `    platforms: [NODE_KEY:${createTestClient().keyHash}]` }));
  await assert.rejects(cas.attest("shop/web"), refusal("service_unknown", "service"));
  await assert.rejects(cas.attest("nothing/api"), refusal("service_unknown", "service"));
  await assert.rejects(cas.attest("shop/api", { evidence: undefined }), refusal("evidence_missing", "evidence"));
  await assert.rejects(cas.attest("hardware/api"), refusal("policy_unmet", "evidence", /would have to name node/));
  const stranger = new TestAgent();
  const byStranger = { evidence: async (userData: Uint8Array) => stranger.evidence("shop/api", userData) };
  await assert.rejects(cas.attest("shop/api", byStranger), refusal("evidence_signature", "evidence", /Enrol/));
  const malformed = { evidence: async () => ({ kind: "node", bytes: Uint8Array.of(1, 2, 3) }) as const };
  await assert.rejects(cas.attest("shop/api", malformed), refusal("evidence_malformed", "evidence"));
  const changed = {
    evidence: async (userData: Uint8Array) => cas.agent.evidence("shop/api", userData, { imageDigest: `sha256:${"00".repeat(32)}` }),
  };
  await assert.rejects(
    cas.attest("shop/api", changed),
    refusal("policy_unmet", "variants", /variant 1: code measurement is [0-9a-f]{64}, expected/),
  );
  await assert.rejects(cas.attest("pinned/api"), refusal("policy_unmet", "platforms", /expected NODE_KEY:/));
});

test("hazard A21: evidence of kind simulated is refused by a CAS without a development root", async (t) => {
  const cas = await startTestCas(t);
  await cas
    .client(createTestClient())
    .uploadSession(testPolicy({ name: "shop", security: "{attestation: {evidence: [node, simulated]}}" }));
  const simulated = {
    evidence: async (userData: Uint8Array) => ({ ...cas.agent.evidence("shop/api", userData), kind: "simulated" }) as const,
  };
  await assert.rejects(cas.attest("shop/api", simulated), ProtocolError);
});

test("SL-86: simulated evidence is accepted where CAS and policy both name it, compared like the kind it imitates, with a warning", async (t) => {
  const platform = newSimulatedPlatform(new Date());
  const cas = await startTestCas(t, { trustAnchors: { simulated: [platform.root] } });
  const policy = (evidence: string) =>
    testPolicy({ name: evidence, security: `{attestation: {evidence: [${evidence}]}}` }).replace(
      TEST_CODE,
      simulatedCodeIdentity("snp", TEST_WORKLOAD),
    );
  const client = cas.client(createTestClient());
  for (const evidence of ["simulated", "snp"]) await client.uploadSession(policy(evidence));
  const evidence = async (userData: Uint8Array) => simulateEvidence(platform, "snp", { userData, workload: TEST_WORKLOAD });
  const { configuration, connection } = await cas.attest("simulated/api", { evidence });
  connection.close();
  assert.match(configuration.warnings.join(), /simulated evidence: this proves nothing/);
  await assert.rejects(cas.attest("snp/api", { evidence }), refusal("policy_unmet", "evidence"));
  const imitating = async (userData: Uint8Array) => ({ ...(await evidence(userData)), kind: "snp" }) as const;
  await assert.rejects(cas.attest("snp/api", { evidence: imitating }), ProtocolError);
  assert.ok(cas.lines.some((line) => line.includes("development root")));
});

test("C-40: mode none serves without evidence and says so", async (t) => {
  const cas = await startTestCas(t);
  await cas.client(createTestClient()).uploadSession(testPolicy({ name: "open", security: "{attestation: {mode: none}}" }));
  const { configuration, connection } = await cas.attest("open/api", { evidence: undefined });
  connection.close();
  assert.equal(configuration.attested, false);
  assert.match(configuration.warnings.join(), /without attestation/);
});

test("C-39, SL-95: both sides prove the access token, and it never crosses the channel", async (t) => {
  const cas = await startTestCas(t);
  const token = "a-token-of-more-than-16-characters";
  await cas
    .client(createTestClient())
    .uploadSession(testPolicy({ name: "shop", security: `{service_access_token: ${token}, attestation: {evidence: [node]}}` }));
  const { connection } = await cas.attest("shop/api", { accessToken: token });
  connection.close();
  await assert.rejects(cas.attest("shop/api"), refusal("token_missing", "access-token"));
  await assert.rejects(cas.attest("shop/api", { accessToken: "another" }), refusal("token_wrong", "access-token"));
  await cas.client(createTestClient()).uploadSession(testPolicy({ name: "free" }));
  await assert.rejects(cas.attest("free/api", { accessToken: token }), { code: "CAS_IDENTITY" });
});

test("C-38, SL-97: a one-time password counts once, also when many come at the same time", async (t) => {
  const secret = Buffer.alloc(20, 7);
  let now = new Date("2026-06-01T00:00:00Z");
  const cas = await startTestCas(t, { now: () => now });
  const otp = encodeBase32(secret);
  await cas
    .client(createTestClient())
    .uploadSession(
      testPolicy({ name: "shop", security: "{attestation: {mode: none}}", service: `    one_time_password_shared_secret: ${otp}` }),
    );
  const attest = (password: string) => cas.attest(`shop/api${password}`, { evidence: undefined });
  const code = () => totp(secret, Math.floor(now.getTime() / 30_000));
  await assert.rejects(attest(""), refusal("password_missing", "one-time-password", /SCONE_CONFIG_ID=shop\/api@123456/));
  await assert.rejects(attest(code() === "000000" ? "@000001" : "@000000"), refusal("password_wrong", "one-time-password"));
  const outcomes = await Promise.allSettled(Array.from({ length: 12 }, () => attest(`@${code()}`)));
  const granted = outcomes.filter(({ status }) => status === "fulfilled");
  assert.equal(granted.length, 1, "hazard B8: exactly one success");
  for (const outcome of granted) if (outcome.status === "fulfilled") outcome.value.connection.close();
  await assert.rejects(attest(`@${code()}`), refusal("password_used", "one-time-password"));
  now = new Date(now.getTime() + 30_000);
  (await attest(`@${code()}`)).connection.close();
});

test("hazard L4: a runtime of another version of the protocol is told which side to update; a client takes answers that say more", async (t) => {
  const cas = await startTestCas(t);
  for (const [version, says] of [
    [2, /version 2 of the protocol, its receiver speaks version 1: update the receiver/],
    [0, /version 0 .*: update the sender/],
  ] as const) {
    const { socket } = await connectToCas({ ...cas.running.serviceAddress, pin: {}, alpn: SERVICE_ALPN, timeoutMs: 30_000 });
    t.after(() => socket.destroy());
    socket.write(encodeFrame({ type: "attest", version, service: "shop/api", news: true }));
    const [answer] = (await once(socket, "data")) as [Buffer];
    const { type, code, message } = JSON.parse(answer.subarray(4).toString());
    assert.deepEqual([type, code], ["refusal", "protocol"]);
    assert.match(message, says);
  }
  const { version } = await cas.client().version();
  assert.equal(CasVersion.parse({ ...(await cas.client().version()), news: true }).version, version);
});

test("C-25 one-time passwords cannot be guessed: after twenty wrong ones from one address the service waits, another service does not", async (t) => {
  let now = new Date("2026-06-01T00:00:00Z");
  const cas = await startTestCas(t, { now: () => now });
  const secret = Buffer.alloc(20, 7);
  const service = `    one_time_password_shared_secret: ${encodeBase32(secret)}`;
  for (const name of ["shop", "other"]) {
    await cas.client(createTestClient()).uploadSession(testPolicy({ name, security: "{attestation: {mode: none}}", service }));
  }
  const code = () => totp(secret, Math.floor(now.getTime() / 30_000));
  const wrong = code() === "000000" ? "000001" : "000000";
  const attest = (session: string, password: string) => cas.attest(`${session}/api@${password}`, { evidence: undefined });
  for (let count = 0; count < 20; count += 1) await assert.rejects(attest("shop", wrong), refusal("password_wrong", "one-time-password"));
  await assert.rejects(
    attest("shop", code()),
    refusal("unavailable", undefined, /more than 6 wrong passwords or tokens in a minute; retry in 10 s/),
  );
  (await attest("other", code())).connection.close();
  now = new Date(now.getTime() + 30_000);
  (await attest("shop", code())).connection.close();
});

test("SL-94, hazard B7: an instance of a singleton session is attested once, however many connections it makes", async (t) => {
  const cas = await startTestCas(t);
  await cas
    .client(createTestClient())
    .uploadSession(testPolicy({ name: "once", security: "{singleton_enclaves: true, attestation: {evidence: [node]}}" }));
  const instanceKey = generateInstanceKey();
  const attest = (counter: bigint, reconnect = false, key = instanceKey) =>
    cas.attest("once/api", {
      instanceKey: key,
      reconnect,
      evidence: async (userData) => cas.agent.evidence("once/api", userData, {}, counter),
    });
  const outcomes = await Promise.allSettled(Array.from({ length: 12 }, () => attest(1n)));
  assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
  for (const outcome of outcomes) if (outcome.status === "fulfilled") outcome.value.connection.close();
  (await attest(1n, true)).connection.close();
  await assert.rejects(
    attest(1n, true, generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey),
    refusal("singleton_seen", "singleton"),
  );
  (await attest(2n)).connection.close();
});

test("an unprovisioned CAS serves neither sessions nor services, and the token makes an owner once", async (t) => {
  const cas = await startTestCas(t, { selfProvision: undefined });
  const owner = createTestClient();
  const client = cas.client(owner);
  await assert.rejects(client.uploadSession(testPolicy({ name: "shop" })), problem("unprovisioned"));
  await assert.rejects(cas.attest("shop/api"), refusal("unavailable", undefined));
  assert.equal((await client.version()).state, "unprovisioned");
  await assert.rejects(client.provision("0".repeat(32), ""), problem("forbidden"));
  const token = cas.running.provisioningToken ?? assert.fail();
  const line = cas.lines.find((each) => each.includes("provisioning token")) ?? "";
  assert.equal(line.split(" ")[6], token, "C-8: the seventh word");
  assert.equal(cas.lines.find((each) => each.includes("CAS key hash"))?.split(" ")[6], cas.running.casKeyHash);
  await assert.rejects(
    client.provision(token, "[api_identity]\ncommon_nane = 'x'\n"),
    problem("invalid_config", /owner configuration:2:1: api_identity\.common_nane: unknown key/),
  );
  assert.equal((await client.provision(token, "")).ownerKeyHash, owner.keyHash);
  await assert.rejects(client.provision(token, ""), problem("provisioned", new RegExp(owner.keyHash)));
  await assert.rejects(cas.client(createTestClient()).updateConfig(""), problem("forbidden"));
  await client.updateConfig("[api_identity]\ncommon_name = 'cas.example.org'\n");
  assert.equal((await client.version()).state, "provisioned");
});
