import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { encodeSignedSession, signSession } from "@vouchsafe/policy";
import { problem, refusal, TEST_CODE } from "../testing/policies.ts";
import { AUDITED, auditedLines } from "../testing/said-aloud.ts";
import { createTestClient, startTestCas } from "../testing/test-cas.ts";

const OLD_CODE = "11".repeat(32);
const SIGNER = "22".repeat(32);

const policy = (roles: string, { code = OLD_CODE, least = 3, more = "" } = {}) => `version: "0.3"
name: shop
security: {attestation: {evidence: [node]}}
access_policy: {read: ANY}
services:
  - {name: api, command: x, pwd: /, environment: {K: "$$SCONE::key$$", P: "$$SCONE::pw$$"}, attestation: [{mrenclave: ${code}}, {signer: {mrsigner: ${SIGNER}, isvprodid: 1, isvsvn_min: ${least}}}]}
  - {name: web, command: x, pwd: /, attestation: {mrenclave: ${OLD_CODE}}}
secrets: [{name: key, kind: private-key}, {name: pw, kind: ascii}]
roles:
${roles}
${more}
`;

test("extension roles: a release manager admits new code with a patch, and nothing else changes", async (t) => {
  const cas = await startTestCas(t, { selfProvision: AUDITED });
  const [author, manager, stranger] = [createTestClient(), createTestClient(), createTestClient()];
  const roles = `  - {name: release, members: [${manager.keyHash}], may: [{raise_isvsvn: [api]}, {add_mrenclave: [api]}]}`;
  const { hash } = await cas.client(author).uploadSession(policy(roles));
  const patch = (predecessor: string, change: string, service = "api") =>
    `{predecessor: ${predecessor}, services: [{name: ${service}, ${change}}]}`;
  await assert.rejects(cas.attest("shop/api"), refusal("policy_unmet", "variants"));
  const admit = patch(hash, `add_mrenclave: ${TEST_CODE}`);
  await assert.rejects(
    cas.client(stranger).patchSession("shop", admit),
    problem("forbidden", /no role of this client may add_mrenclave of service api/),
  );
  await assert.rejects(cas.client(manager).patchSession("shop", patch(hash, `add_mrenclave: ${TEST_CODE}`, "web")), problem("forbidden"));
  await assert.rejects(cas.client(manager).patchSession("shop", patch("ff".repeat(32), "isvsvn_min: 7")), problem("predecessor_mismatch"));
  const patched = await cas.client(manager).patchSession("shop", admit);
  assert.equal((await cas.client(manager).patchSession("shop", admit)).hash, patched.hash, "C-24: again after a lost answer");
  const { configuration, connection } = await cas.attest("shop/api");
  connection.close();
  const raised = await cas.client(manager).patchSession("shop", patch(patched.hash, "isvsvn_min: 7"));
  for (const lower of ["isvsvn_min: 7", "isvsvn_min: 5", `add_mrenclave: ${TEST_CODE}`])
    await assert.rejects(cas.client(manager).patchSession("shop", patch(raised.hash, lower)), problem("invalid_session", /already/));
  const after = await cas.attest("shop/api");
  after.connection.close();
  assert.deepEqual(after.configuration.environment, configuration.environment, "no value is made anew");
  const { text } = await cas.client(author).readSession("shop");
  assert.match(text, /isvsvn_min: 7/);
  assert.match(text, new RegExp(`creator: ${author.keyHash}`), "who patches does not become the creator");
  await assert.rejects(cas.client(manager).uploadSession(policy(roles, { more: `predecessor: ${raised.hash}` })), problem("forbidden"));
  await cas.client(author).uploadSession(policy(roles, { code: TEST_CODE, more: `predecessor: ${raised.hash}` }));
  assert.match(auditedLines(cas), /"session_patched","data":\{"session":"shop","client":"[^"]+","changes":\["add_mrenclave api"\]/);
});

test("extension roles: a full document whose difference is covered counts as a patch; anything more needs update", async (t) => {
  const cas = await startTestCas(t);
  const [author, manager] = [createTestClient(), createTestClient()];
  const roles = `  - {name: release, members: [${manager.keyHash}], may: [{raise_isvsvn: [api]}]}`;
  const { hash } = await cas.client(author).uploadSession(policy(roles));
  const { text } = await cas.client(manager).readSession("shop");
  const document = text.replace(/isvsvn_min: 3/, "isvsvn_min: 4").replace(/^name: shop$/m, `name: shop\npredecessor: ${hash}`);
  const next = await cas.client(manager).uploadSession(document);
  assert.equal((await cas.client(manager).uploadSession(document)).hash, next.hash);
  const bare = (least: number, predecessor: string, change = (body: string) => body) =>
    change(policy(roles, { least, more: `predecessor: ${predecessor}` }));
  const third = await cas.client(manager).uploadSession(bare(5, next.hash));
  const refused = (change: (body: string) => string, least = 6) =>
    assert.rejects(cas.client(manager).uploadSession(bare(least, third.hash, change)), problem("forbidden"));
  await refused((body) => body, 4);
  await refused((body) => body.replace("read: ANY", "read: CREATOR"));
  await refused((body) => body.replace("name: pw, kind: ascii", "name: pw, kind: ascii, size: 21"));
  await refused((body) => body.replace("{raise_isvsvn: [api]}", "{raise_isvsvn: [api, web]}"));
  await refused((body) => body.replace("name: web, command: x", "name: web, command: y"));
});

test("extension roles: a patch may carry signatures, and the role's rule counts them", async (t) => {
  const cas = await startTestCas(t);
  const author = createTestClient();
  const keys = [0, 1].map(() => generateKeyPairSync("ed25519"));
  const signer = (at: number) => {
    const pem = keys[at]?.publicKey.export({ type: "spki", format: "pem" }).toString() ?? assert.fail();
    return `{signer: ${JSON.stringify(pem)}}`;
  };
  const roles = `  - {name: release, members: [{require-all: [${signer(0)}, ${signer(1)}]}], may: [{raise_isvsvn: [api]}]}`;
  const { hash } = await cas.client(author).uploadSession(policy(roles));
  const text = `{name: shop, predecessor: ${hash}, services: [{name: api, isvsvn_min: 9}]}`;
  const one = signSession(text, keys[0]?.privateKey ?? assert.fail());
  await assert.rejects(
    cas.client(author).patchSession("shop", encodeSignedSession(one)),
    problem("forbidden"),
    "the connection counts for nothing (SL-192)",
  );
  const other = signSession(text, keys[1]?.privateKey ?? assert.fail());
  const both = encodeSignedSession({ policy: text, signatures: [...one.signatures, ...other.signatures] });
  await assert.rejects(cas.client(author).patchSession("shop", both.replace("isvsvn_min: 9", "isvsvn_min: 8")), problem("bad_signature"));
  await cas.client(undefined).patchSession("shop", both);
  assert.match((await cas.client(author).readSession("shop")).text, /isvsvn_min: 9/);
});
