import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { type TestContext, test } from "node:test";
import { keyHashOf } from "@vouchsafe/policy";
import { problem, testPolicy } from "../testing/policies.ts";
import { AUDITED, auditedLines } from "../testing/said-aloud.ts";
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

/** A CAS with an owner, that lives in the past as its certificates must hold now too. */
async function startOwned(t: TestContext, now?: () => Date) {
  const cas = await startTestCas(t, { selfProvision: undefined, nodeKeys: [], ...(now && { now }) });
  const owner = createTestClient();
  await cas.client(owner).provision(cas.running.provisioningToken ?? "", AUDITED.config);
  const audited = (event: string) =>
    auditedLines(cas)
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line))
      .filter((entry) => entry.event === event)
      .map(({ data }) => data);
  return { cas, owner: () => cas.client(owner), audited };
}

test("C-85, C-91: the key of an agent is on record whenever it comes to be believed, and not each time that its cluster says so again", async (t) => {
  let clock = Date.now() - 48 * 3_600_000;
  const hours = (count: number) => {
    clock += count * 3_600_000;
  };
  const { cas, owner, audited } = await startOwned(t, () => new Date(clock));
  const cluster = new TestIssuer();
  await owner().putNodeIssuer(cluster.issuer);
  const { publicKey } = new TestAgent();
  const key = keyHashOf(publicKey);
  const tell = async () => {
    const statement = await cluster.statement({ audience: `vouchsafe-node:${key}`, expires: "9h" });
    await cas.client().enrolNode(spkiOf(publicKey), statement);
    return audited("node_key_enrolled").length;
  };
  const told = () => cas.lines.filter((line) => line.includes("is trusted on the word of its cluster")).length;
  assert.equal(await tell(), 1);
  assert.deepEqual(audited("node_key_enrolled")[0], { key, node: "node-2" });
  hours(2);
  assert.equal(await tell(), 1, "it holds for more than half of its time: nothing is written");
  hours(4.5);
  assert.equal(await tell(), 2, "it was believed no longer, and is again");
  hours(4);
  assert.equal(await tell(), 2, "it is believed for longer");
  hours(5);
  assert.equal(await tell(), 2);
  hours(7);
  assert.equal(await tell(), 3);
  assert.equal(told(), 3, "each of these times the console says so, too");
  hours(1);
  await owner().enrolNodeKey(spkiOf(publicKey));
  await owner().enrolNodeKey(spkiOf(publicKey));
  assert.deepEqual(audited("node_key_enrolled").slice(3), [{ key }], "the owner enrolled it for good, once");
  hours(7);
  assert.equal(await tell(), 4, "and what a cluster says changes nothing");
});

test("C-85, C-91: whose word counts is on record when it changes, and outlives the process", async (t) => {
  const { cas, owner, audited } = await startOwned(t);
  const [one, two] = [new TestIssuer(), new TestIssuer("one", "system:serviceaccount:x:las", "https://two.example")];
  for (const { issuer } of [one, two, one]) await owner().putNodeIssuer(issuer);
  const entry = ({ issuer: { issuer, subject } }: TestIssuer) => ({ issuer, subject, keys: 1 });
  assert.deepEqual(audited("node_issuer_changed"), [entry(one), entry(two)], "the same again changes nothing");
  const enrol = async (issuer: TestIssuer) => {
    const { publicKey } = new TestAgent();
    const statement = await issuer.statement({ audience: `vouchsafe-node:${keyHashOf(publicKey)}` });
    return cas.client().enrolNode(spkiOf(publicKey), statement);
  };
  await cas.restart();
  for (const issuer of [one, two]) assert.equal((await enrol(issuer)).node, "node-2", "each cluster speaks for its own nodes");
  for (const name of [ISSUER, ISSUER, "https://nobody.example"]) await owner().removeNodeIssuer(name);
  assert.deepEqual(audited("node_issuer_changed").slice(2), [{ issuer: ISSUER, subject: null, keys: 0 }]);
  for (const restarts of [false, true]) {
    if (restarts) await cas.restart();
    await assert.rejects(enrol(one), problem("forbidden", /statement about its node agents is not accepted/));
    assert.equal((await enrol(two)).node, "node-2");
  }
  await owner().removeNodeIssuer("https://two.example");
  await assert.rejects(enrol(two), problem("forbidden", /has allowed no cluster to enrol its node agents/));
});

test("C-91, hazard A8: an agent has a P-256 or Ed25519 key, of whoever enrols it", async (t) => {
  const { owner } = await startOwned(t);
  for (const key of [generateKeyPairSync("ed25519").publicKey, generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey])
    await owner().enrolNodeKey(spkiOf(key));
  const others = [
    generateKeyPairSync("ec", { namedCurve: "P-384" }).publicKey,
    generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey,
  ];
  for (const spki of [...others.map(spkiOf), Uint8Array.of(1, 2)])
    await assert.rejects(owner().enrolNodeKey(spki), problem("bad_request", /P-256 or Ed25519/));
});

const agentKey = generateKeyPairSync("ed25519").publicKey;
const audience = `vouchsafe-node:${keyHashOf(agentKey)}`;
const refused: { what: string; change: Parameters<TestIssuer["statement"]>[0]; says?: RegExp }[] = [
  {
    what: "about another key",
    says: /^the cluster's statement is not about vouchsafe-node:/,
    change: { audience: `vouchsafe-node:${keyHashOf(generateKeyPairSync("ed25519").publicKey)}` },
  },
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
  for (const { what, change, says } of refused) {
    await assert.rejects(cas.client().enrolNode(spkiOf(agentKey), await cluster.statement(change)), problem("forbidden", says), what);
  }
  const rotated = new TestIssuer("two");
  await assert.rejects(cas.client().enrolNode(spkiOf(agentKey), await rotated.statement({ audience })), problem("forbidden"));
  await cas.client(owner).putNodeIssuer(rotated.issuer);
  await assert.rejects(cas.client().enrolNode(spkiOf(agentKey), await cluster.statement({ audience })), problem("forbidden"));
  await assert.rejects(cas.client().enrolNode(spkiOf(agentKey), "a.b.c"), problem("forbidden"));
  await assert.rejects(cas.client().enrolNode(Uint8Array.of(1, 2), await rotated.statement({ audience })), problem("forbidden"));
  assert.equal((await cas.client().enrolNode(spkiOf(agentKey), await rotated.statement({ audience }))).node, "node-2");
});
