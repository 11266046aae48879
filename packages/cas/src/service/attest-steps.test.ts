/** The steps of an attestation: that each is taken, in which order, and what is on record afterwards. */
import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { encodeEvidence, simulatedCodeIdentity, simulateEvidence } from "@vouchsafe/attestation";
import { encodeBase32, keyHash, totp } from "@vouchsafe/policy";
import {
  type AttestRequest,
  connectToCas,
  encodeFrame,
  evidenceUserData,
  generateInstanceKey,
  SERVICE_ALPN,
  signInstanceProof,
} from "@vouchsafe/protocol";
import { mintedNow, mintIntel } from "../../../attestation/src/testing/mint-intel.ts";
import { newSimulatedPlatform } from "../../../attestation/src/testing/simulated-keys.ts";
import { mintedSource } from "../../../collateral/src/testing/minted-source.ts";
import { refusal, TEST_CODE, TEST_WORKLOAD, testPolicy } from "../testing/policies.ts";
import { createTestClient, startTestCas, type TestCas } from "../testing/test-cas.ts";
import { startLogServer } from "../testing/test-log-server.ts";

const MEASUREMENT = "3e".repeat(32);
const OUTDATED = [4, 4, 1, 1, 2, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0];
const UNSIGNED_LOG = { config: '[audit_log]\nmode = "unsigned"\n' };

/** A CAS that believes minted evidence of SGX. */
async function casWithSgx(t: TestContext, now = () => mintedNow): Promise<TestCas> {
  const minted = mintIntel();
  const collateral = { sources: [mintedSource(minted)] };
  return startTestCas(t, { now, trustAnchors: { sgx: [minted.root] }, collateral, selfProvision: UNSIGNED_LOG });
}
const sgx = (sgxComponents?: readonly number[], change: (userData: Uint8Array) => Uint8Array = (userData) => userData) => ({
  evidence: async (userData: Uint8Array) => {
    const { quote } = mintIntel({ ...(sgxComponents && { sgxComponents }), body: (body) => body.set(change(userData), 320) });
    return { kind: "sgx", bytes: quote } as const;
  },
});
const entriesOf = (cas: TestCas, event: string): readonly Record<string, unknown>[] =>
  readFileSync(join(cas.directory, "audit", "cas_audit.log"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))
    .filter((entry) => entry.event === event)
    .map(({ data }) => data);

/** A policy that a request of this file fails in every step, each of which a word mends. */
interface Mended {
  readonly evidence?: true;
  readonly state?: true;
  readonly variants?: true;
  readonly platforms?: true;
  readonly singleton?: true;
  readonly values?: true;
}

test("C-37: the steps are taken in their order: what is wrong later is not told before what is wrong earlier", async (t) => {
  let now = mintedNow;
  const cas = await casWithSgx(t, () => now);
  const client = cas.client(createTestClient());
  const [token, secret] = ["a-token-of-more-than-16-characters", Buffer.alloc(20, 7)];
  const upload = async (name: string, { evidence, state, variants, platforms, singleton, values }: Mended) => {
    const attestation = `{evidence: [${evidence ? "sgx" : "node"}]${state ? ", tolerate: [outdated-tcb], ignore_advisories: [INTEL-SA-00615]" : ""}}`;
    const service = [
      `    one_time_password_shared_secret: ${encodeBase32(secret)}`,
      `    environment: {P: "${values ? "p" : "$$SCONE::pw$$"}"}`,
      ...(platforms ? [] : [`    platforms: [NODE_KEY:${createTestClient().keyHash}]`]),
    ];
    const text = testPolicy({
      name,
      security: `{singleton_enclaves: ${!singleton}, service_access_token: ${token}, attestation: ${attestation}}`,
      service: service.join("\n"),
      rest: "secrets: [{name: pw, import: {session: nothing}}]",
    });
    await client.uploadSession(variants ? text.replace(TEST_CODE, MEASUREMENT) : text);
  };
  /** Each attempt with a password that was not used before. */
  const attest = (name: string, more: object) => {
    now = new Date(now.getTime() + 30_000);
    return cas.attest(`${name}@${totp(secret, Math.floor(now.getTime() / 30_000))}`, more);
  };
  const relayed = sgx(OUTDATED, (userData) => userData.map((byte) => byte ^ 1));
  await upload("s0", {});
  await assert.rejects(attest("s0/nobody", relayed), refusal("service_unknown", "service"));
  await assert.rejects(cas.attest("s0/api", relayed), refusal("password_missing", "one-time-password"));
  await assert.rejects(attest("s0/api", relayed), refusal("policy_unmet", "evidence"));
  await upload("s1", { evidence: true });
  const forged = { evidence: async () => ({ kind: "sgx", bytes: mintIntel().quote.fill(1, 500, 560) }) as const };
  await assert.rejects(attest("s1/api", forged), refusal("evidence_signature", "evidence"));
  await assert.rejects(attest("s1/api", relayed), refusal("channel_binding", "channel-binding"));
  await assert.rejects(attest("s1/api", sgx(OUTDATED)), refusal("policy_unmet", "platform-state", /not authenticated/));
  const steps = [
    ["variants", {}, sgx(OUTDATED)],
    ["platforms", { variants: true }, sgx(OUTDATED)],
    ["singleton", { variants: true, platforms: true }, sgx(OUTDATED)],
    ["access-token", { variants: true, platforms: true, singleton: true }, sgx(OUTDATED)],
    ["values", { variants: true, platforms: true, singleton: true }, { ...sgx(OUTDATED), accessToken: token }],
  ] as const;
  for (const [step, mended, more] of steps) {
    const name = `s-${step}`;
    await upload(name, { evidence: true, state: true, ...mended });
    const code = { "access-token": "token_missing", values: "values_unresolved" }[step as string] ?? "policy_unmet";
    await assert.rejects(attest(`${name}/api`, more), refusal(code, step), step);
  }
  await upload("s9", { evidence: true, state: true, variants: true, platforms: true, singleton: true, values: true });
  (await attest("s9/api", { ...sgx(OUTDATED), accessToken: token })).connection.close();
  assert.deepEqual(
    entriesOf(cas, "attestation_refused").map(({ step }) => step),
    ["service", "one-time-password", "evidence", "evidence", "channel-binding", "platform-state", ...steps.map(([step]) => step)],
    "each refusal is on record with its step",
  );
});

test("C-85, C-86: what is on record of an attestation: who got in with what, and who did not", async (t) => {
  const cas = await casWithSgx(t);
  const client = cas.client(createTestClient());
  await client.uploadSession(testPolicy({ name: "node" }));
  const { hash } = await client.uploadSession(testPolicy({ name: "salted", rest: `salt: "${"ab".repeat(16)}"` }));
  await client.uploadSession(testPolicy({ name: "open", security: "{attestation: {mode: none}}" }));
  const exceptions = "[{tolerate: [outdated-tcb], ignore_advisories: [INTEL-SA-00615], until: 2026-06-20, because: a new BIOS comes}]";
  const policy = testPolicy({ name: "sgx", security: `{attestation: {evidence: [sgx], exceptions: ${exceptions}}}` });
  await client.uploadSession(policy.replace(TEST_CODE, MEASUREMENT));
  const evidence = async (userData: Uint8Array) => cas.agent.evidence("", userData, {}, undefined, mintedNow);
  const warnings: string[][] = [];
  for (const [service, more] of [
    ["node/api", { evidence }],
    ["open/api", { evidence: undefined }],
    ["sgx/api", sgx()],
    ["sgx/api", sgx(OUTDATED)],
    ["salted/api", { evidence }],
  ] as const) {
    const { connection, configuration } = await cas.attest(service, more);
    connection.close();
    warnings.push(configuration.warnings);
  }
  assert.deepEqual(warnings, [
    ["attested by a node agent: this proves nothing about hardware"],
    ["this session is configured without attestation: whoever reaches the CAS gets its secrets"],
    [],
    ["the platform is accepted by an exception until 2026-06-20T23:59:59Z, which is in 5 days: a new BIOS comes"],
    ["attested by a node agent: this proves nothing about hardware"],
  ]);
  await assert.rejects(cas.attest("sgx/api@123456", { evidence: undefined }), refusal("evidence_missing", "evidence"));
  await assert.rejects(cas.attest("nothing/api", { evidence }), refusal("service_unknown", "service"));
  const spki = cas.agent.publicKey.export({ type: "spki", format: "der" });
  const byNode = { evidence: "node", measurement: TEST_CODE, platform: `NODE_KEY:${keyHash(spki)}` };
  const attested = entriesOf(cas, "service_attested");
  assert.deepEqual(attested[0], { service: "node/api", attested: true, ...byNode });
  assert.deepEqual(attested[1], { service: "open/api", attested: false });
  const { platform, signer, ...bySgx } = attested[2] ?? {};
  assert.deepEqual(bySgx, { service: "sgx/api", attested: true, evidence: "sgx", measurement: MEASUREMENT });
  assert.match(`${platform} ${signer}`, /^INTEL_QE_ID:[0-9a-f]{32} [0-9a-f]{64}$/);
  const [exception] = (attested[3]?.["exceptions"] ?? []) as readonly Record<string, unknown>[];
  assert.deepEqual(
    [exception?.["until"], exception?.["because"], attested[3]?.["hidden_advisories"]],
    ["2026-06-20T23:59:59Z", "a new BIOS comes", undefined],
  );
  assert.deepEqual(attested[4], { service: "salted/api", session_hash: hash, attested: true, ...byNode }, "a salted hash is public");
  assert.deepEqual(entriesOf(cas, "attestation_refused"), [
    { service: "sgx/api", evidence: null, code: "evidence_missing", step: "evidence" },
    { service: "nothing/api", evidence: "node", code: "service_unknown", step: "service" },
  ]);
});

test("hazard A21: simulated evidence is on record as what it is, whether it gets in or not, and says nothing of a platform", async (t) => {
  const platform = newSimulatedPlatform(new Date());
  const owner = createTestClient();
  const selfProvision = { ...UNSIGNED_LOG, owner: { keyHash: owner.keyHash, pem: owner.certificate } };
  const cas = await startTestCas(t, { trustAnchors: { simulated: [platform.root] }, selfProvision });
  const client = cas.client(createTestClient());
  for (const evidence of ["node", "simulated"]) {
    const policy = testPolicy({ name: evidence, security: `{attestation: {evidence: [${evidence}]}}` });
    await client.uploadSession(policy.replace(TEST_CODE, simulatedCodeIdentity("sgx", TEST_WORKLOAD)));
  }
  const evidence = async (userData: Uint8Array) => simulateEvidence(platform, "sgx", { userData, workload: TEST_WORKLOAD });
  await assert.rejects(cas.attest("node/api", { evidence }), refusal("policy_unmet", "evidence"));
  const refused = { service: "node/api", evidence: "simulated", code: "policy_unmet", step: "evidence", warning: "insecure evidence kind" };
  assert.deepEqual(entriesOf(cas, "attestation_refused"), [refused]);
  const { configuration, connection } = await cas.attest("simulated/api", { evidence });
  connection.close();
  assert.deepEqual(configuration.warnings, ["DEVELOPMENT ONLY: attested by simulated evidence: this proves nothing"]);
  assert.equal(entriesOf(cas, "service_attested")[0]?.["evidence"], "simulated");
  assert.ok(cas.lines.some((line) => line.includes("DEVELOPMENT ONLY: simulated/api is admitted on simulated evidence (sgx)")));
  assert.deepEqual((await cas.client(owner).collateralForecast()).platforms, []);
});

test("SL-94: a singleton that comes back comes back as the service that it was", async (t) => {
  const cas = await startTestCas(t);
  const client = cas.client(createTestClient());
  for (const name of ["once", "other"])
    await client.uploadSession(testPolicy({ name, security: "{singleton_enclaves: true, attestation: {evidence: [node]}}" }));
  const instanceKey = generateInstanceKey();
  const evidence = async (userData: Uint8Array) => cas.agent.evidence("", userData, {}, 1n);
  const again = (service: string) => cas.attest(service, { instanceKey, evidence, reconnect: true });
  (await cas.attest("once/api", { instanceKey, evidence })).connection.close();
  (await again("once/api")).connection.close();
  await assert.rejects(again("other/api"), refusal("singleton_seen", "singleton"));
});

test("C-37, C-84: while the audit log takes no entry no service is served, none is refused for anything else, and nothing is counted", async (t) => {
  const log = await startLogServer(t);
  const cas = await startTestCas(t, { selfProvision: { config: log.config } });
  const client = cas.client(createTestClient());
  await client.uploadSession(testPolicy({ name: "plain" }));
  await client.uploadSession(testPolicy({ name: "limited", service: "    max_running: 1\n    max_activations: 1" }));
  log.status = 503;
  for (const service of ["plain/api", "limited/api", "nothing/api"])
    await assert.rejects(cas.attest(service), refusal("audit_unavailable", "audit", /so no service is served/), service);
  assert.ok(cas.lines.some((line) => /audit log: .*503/.test(line)));
  log.status = 204;
  const [api] = (await client.activations("limited")).services;
  assert.deepEqual([api?.activations, api?.running], [0, 0]);
  for (const service of ["plain/api", "limited/api"]) {
    const { connection } = await cas.attest(service);
    t.after(() => connection.close());
    assert.ok(log.received.join("").includes(`"service":"${service}","attested":true`));
  }
  await assert.rejects(cas.attest("limited/api"), refusal("activation_limit", "activation"));
});

test("C-46: an instance that comes back does not count as another start, one that does not say so does", async (t) => {
  const cas = await startTestCas(t);
  await cas.client(createTestClient()).uploadSession(testPolicy({ name: "shop", service: "    max_activations: 1" }));
  const instanceKey = generateInstanceKey();
  (await cas.attest("shop/api", { instanceKey })).connection.close();
  await cas.restart(); // its connection is over for certain
  await assert.rejects(cas.attest("shop/api"), refusal("activation_limit", "activation"));
  (await cas.attest("shop/api", { instanceKey, reconnect: true })).connection.close();
});

test("SL-134: an instance that would be refused now is sent nothing new, and keeps what it has", async (t) => {
  const cas = await startTestCas(t);
  const client = cas.client(createTestClient());
  const secret = (name: string, more = "") => `{name: ${name}, kind: ascii, supplied_by: CREATOR${more}}`;
  const owner = (secrets: string, more = "") => `version: "0.3"\nname: owner\nsecrets: [${secrets}]\n${more}`;
  const shared = ", export: {session: shop}";
  const { hash } = await client.uploadSession(owner(`${secret("one", shared)}, ${secret("two", shared)}`));
  await client.uploadSession(
    testPolicy({
      name: "shop",
      service: "    image_name: i",
      rest: [
        "secrets: [{name: one, import: {session: owner}}, {name: two, import: {session: owner}}]",
        'images: [{name: i, injection_files: [{path: /f, content: "$$SCONE::one$$ $$SCONE::two$$"}]}]',
      ].join("\n"),
    }),
  );
  for (const name of ["one", "two"]) await client.supplySecret("owner", name, "before");
  const { connection } = await cas.attest("shop/api");
  t.after(() => connection.close());
  const renewals: string[] = [];
  connection.onRenewal(({ files }) => renewals.push(Buffer.from(files[0]?.content ?? "", "base64").toString()));
  await client.supplySecret("owner", "one", "second");
  await connection.ping();
  while (renewals.length === 0) await connection.ping();
  await client.uploadSession(owner(`${secret("one", shared)}, ${secret("two")}`, `predecessor: ${hash}`));
  await client.supplySecret("owner", "one", "third");
  await assert.rejects(cas.attest("shop/api"), refusal("values_unresolved", "values"));
  await connection.ping();
  assert.deepEqual(renewals, ["second before"]);
  assert.equal(
    cas.lines.some((line) => line.includes("were not told")),
    false,
  );
});

/** What the CAS answers to a request that no client of ours would send. */
async function answerTo(t: TestContext, cas: TestCas, change: Partial<AttestRequest>): Promise<Record<string, unknown>> {
  const { socket, identity } = await connectToCas({ ...cas.running.serviceAddress, pin: {}, alpn: SERVICE_ALPN, timeoutMs: 30_000 });
  t.after(() => socket.destroy());
  const key = generateInstanceKey();
  const spki = createPublicKey(key.export({ type: "pkcs8", format: "pem" })).export({ type: "spki", format: "der" });
  const exporter = socket.exportKeyingMaterial(32, "EXPORTER-Channel-Binding", Buffer.alloc(0));
  const userData = evidenceUserData({ exporter, casKey: identity.casKey, instanceKey: spki, service: "shop/api" });
  const request: AttestRequest = {
    ...{ type: "attest", version: 1, service: "shop/api", runtimeVersion: "test" },
    evidence: { ...encodeEvidence(cas.agent.evidence("shop/api", userData)), endorsements: {} },
    ...{ instanceKey: spki.toBase64(), instanceProof: signInstanceProof(userData, key).toBase64(), ...change },
  };
  socket.write(encodeFrame(request));
  const [answer] = (await once(socket, "data")) as [Buffer];
  return JSON.parse(answer.subarray(4).toString());
}

test("C-37, hazard B6: names that are none and keys that are none are refused in their step, whatever else is right", async (t) => {
  const cas = await startTestCas(t);
  await cas.client(createTestClient()).uploadSession(testPolicy({ name: "shop" }));
  const right = await answerTo(t, cas, {});
  assert.equal(right["type"], "configuration");
  const unnamed = await answerTo(t, cas, { service: "shop.api" });
  assert.deepEqual(
    [unnamed["code"], unnamed["step"], unnamed["message"]],
    ["service_unknown", "service", "the service id is not SESSION/SERVICE[@PASSWORD]"],
  );
  const keyless = await answerTo(t, cas, { instanceKey: "AAAA" });
  assert.deepEqual(
    [keyless["code"], keyless["step"], keyless["message"]],
    ["protocol", "channel-binding", "the instance key is no public key"],
  );
});

test("C-91: an agent that does not know which of its services asks vouches for the program alone; one that does, for that service", async (t) => {
  const cas = await startTestCas(t);
  await cas.client(createTestClient()).uploadSession(testPolicy({ name: "shop" }));
  const by = (service: string) => ({ evidence: async (userData: Uint8Array) => cas.agent.evidence(service, userData) });
  (await cas.attest("shop/api", by(""))).connection.close();
  await assert.rejects(
    cas.attest("shop/api", by("shop/ap")),
    refusal("channel_binding", "channel-binding", /vouches for service shop\/ap, not/),
  );
});
