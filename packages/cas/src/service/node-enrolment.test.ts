import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { test } from "node:test";
import { keyHashOf } from "@vouchsafe/policy";
import { problem, testPolicy } from "../testing/policies.ts";
import { createTestClient, startTestCas, TestAgent } from "../testing/test-cas.ts";
import { ISSUER, TestIssuer } from "../testing/test-issuer.ts";

const spkiOf = (key: KeyObject): Uint8Array => key.export({ type: "spki", format: "der" });

test("C-91: a node agent whose cluster vouches for its key is believed without the owner, and until the owner allows it nobody is", async (t) => {
  const cas = await startTestCas(t, { selfProvision: undefined, nodeKeys: [] });
  const owner = createTestClient();
  await cas.client(owner).provision(cas.running.provisioningToken ?? "", "");
  await cas.client(owner).uploadSession(testPolicy({ name: "shop", security: "{attestation: {evidence: [node]}}" }));
  const agent = new TestAgent();
  const key = spkiOf(agent.publicKey);
  const evidence = async (userData: Uint8Array) => agent.evidence("shop/api", userData);
  const cluster = new TestIssuer();
  const statement = await cluster.statement({ audience: `vouchsafe-node:${keyHashOf(agent.publicKey)}` });

  await assert.rejects(cas.client().enrolNode(key, statement), problem("forbidden"));
  await assert.rejects(cas.client(createTestClient()).putNodeIssuer(cluster.issuer), problem("forbidden"));
  await cas.client(owner).putNodeIssuer(cluster.issuer);
  await assert.rejects(cas.attest("shop/api", { evidence }), "the key itself is not enrolled yet");
  assert.deepEqual(await cas.client().enrolNode(key, statement), { keyHash: keyHashOf(agent.publicKey), node: "node-2" });
  (await cas.attest("shop/api", { evidence })).connection.close();

  await cas.restart();
  (await cas.attest("shop/api", { evidence })).connection.close();
  await cas.client().enrolNode(key, statement);
  await cas.client(owner).removeNodeIssuer(ISSUER);
  await assert.rejects(cas.client().enrolNode(spkiOf(new TestAgent().publicKey), statement), problem("forbidden"));
});

test("C-91: a node of which its cluster speaks no more is believed for six hours; one that the owner enrolled, for good", async (t) => {
  let clock = Date.now() - 24 * 3_600_000; // the CAS lives in the past: its certificates must hold now too
  const cas = await startTestCas(t, { selfProvision: undefined, nodeKeys: [], now: () => new Date(clock) });
  const owner = createTestClient();
  await cas.client(owner).provision(cas.running.provisioningToken ?? "", "");
  await cas.client(owner).uploadSession(testPolicy({ name: "shop", security: "{attestation: {evidence: [node]}}" }));
  const cluster = new TestIssuer();
  await cas.client(owner).putNodeIssuer(cluster.issuer);
  const [leased, owned] = [new TestAgent(), new TestAgent()];
  const statement = () => cluster.statement({ audience: `vouchsafe-node:${keyHashOf(leased.publicKey)}`, expires: "9h" });
  const tell = async () => cas.client().enrolNode(spkiOf(leased.publicKey), await statement());
  const attest = async (agent: TestAgent) => {
    const evidence = async (userData: Uint8Array) => agent.evidence("shop/api", userData, {}, undefined, new Date(clock));
    (await cas.attest("shop/api", { evidence })).connection.close();
  };
  await tell();
  await cas.client(owner).enrolNodeKey(spkiOf(owned.publicKey));
  clock += 5 * 3_600_000;
  await tell();
  clock += 5 * 3_600_000;
  await attest(leased);
  clock += 3_600_001;
  await assert.rejects(attest(leased));
  await attest(owned);
  await cas.restart();
  await assert.rejects(attest(leased));
  await attest(owned);
  await cas.client(owner).enrolNodeKey(spkiOf(leased.publicKey));
  clock += 9 * 3_600_000;
  await attest(leased);
});

const agentKey = generateKeyPairSync("ed25519").publicKey;
const audience = `vouchsafe-node:${keyHashOf(agentKey)}`;
const refused = [
  { what: "about another key", change: { audience: `vouchsafe-node:${keyHashOf(generateKeyPairSync("ed25519").publicKey)}` } },
  { what: "that is a login elsewhere too", change: { audience: [audience, "https://kubernetes.default.svc"] } },
  { what: "of another service account", change: { audience, subject: "system:serviceaccount:default:default" } },
  { what: "of another issuer", change: { audience, issuer: "https://elsewhere" } },
  { what: "that has expired", change: { audience, expires: "-10m" } },
  { what: "that names no node", change: { audience, claims: { "kubernetes.io": { pod: { name: "p", uid: "u" } } } } },
];
test("C-91, field/2026-evidence-subject: a statement that a cluster did not make about this very key enrols nothing", async (t) => {
  const cas = await startTestCas(t, { selfProvision: undefined });
  const owner = createTestClient();
  await cas.client(owner).provision(cas.running.provisioningToken ?? "", "");
  const cluster = new TestIssuer();
  await cas.client(owner).putNodeIssuer(cluster.issuer);
  for (const { what, change } of refused) {
    await assert.rejects(cas.client().enrolNode(spkiOf(agentKey), await cluster.statement(change)), problem("forbidden"), what);
  }
  const rotated = new TestIssuer("two");
  await assert.rejects(cas.client().enrolNode(spkiOf(agentKey), await rotated.statement({ audience })), problem("forbidden"));
  await cas.client(owner).putNodeIssuer(rotated.issuer);
  await assert.rejects(cas.client().enrolNode(spkiOf(agentKey), await cluster.statement({ audience })), problem("forbidden"));
  await assert.rejects(cas.client().enrolNode(spkiOf(agentKey), "a.b.c"), problem("forbidden"));
  await assert.rejects(cas.client().enrolNode(Uint8Array.of(1, 2), await rotated.statement({ audience })), problem("forbidden"));
  assert.equal((await cas.client().enrolNode(spkiOf(agentKey), await rotated.statement({ audience }))).node, "node-2");
});
