import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { test } from "node:test";
import { encodeSignedSession, type ProposalAction, signProposalStatement, signSession } from "@vouchsafe/policy";
import { type CasClient, UpdatePendingError } from "@vouchsafe/protocol";
import { problem } from "../testing/policies.ts";
import { AUDITED, auditedLines, saidAloud } from "../testing/said-aloud.ts";
import { createTestClient, startTestCas } from "../testing/test-cas.ts";

const NAME = "board";
const keys = [0, 1, 2, 3].map(() => generateKeyPairSync("ed25519"));
const privateKey = (at: number): KeyObject => keys[at]?.privateKey ?? assert.fail();
const pem = (at: number) => JSON.stringify(keys[at]?.publicKey.export({ type: "spki", format: "pem" }).toString());
const signer = (at: number) => `{signer: ${pem(at)}}`;

const policy = (rule: string, more = "", proposals = "{enabled: true, expires: 2d}") =>
  `version: "0.3"\nname: ${NAME}\naccess_policy: {read: CREATOR, update: [${rule}]}\nupdate_proposals: ${proposals}\n${more}\n`;
const twoOfThree = `{require-at-least-2: [${signer(0)}, ${signer(1)}, ${signer(2)}]}`;

/** The upload must become a proposal; its hash. */
async function pending(upload: Promise<unknown>): Promise<string> {
  const error = await upload.then(
    () => assert.fail("the update is in force"),
    (reason: unknown) => reason,
  );
  assert(error instanceof UpdatePendingError, String(error));
  return error.hash;
}

async function decide(
  client: CasClient,
  action: Extract<ProposalAction, "approve" | "reject" | "withdraw">,
  hash: string,
  at: number,
  text = "",
) {
  const statement = signProposalStatement({ action, session: NAME, hash, policy: text }, privateKey(at));
  return client.decideProposal(NAME, hash, { action, ...statement });
}

test("C-63, §12: a proposal waits for signatures, each counted once, and takes effect with the last that was missing", async (t) => {
  const cas = await startTestCas(t, { selfProvision: AUDITED });
  const [author, stranger] = [createTestClient(), createTestClient()];
  const rule = `{require-all: [${author.keyHash}, ${twoOfThree}]}`;
  const { hash } = await cas.client(author).uploadSession(policy(rule));
  const change = policy(rule, `predecessor: ${hash}\nsecrets: [{name: s, kind: ascii, value: c4n4ry}]`);
  await assert.rejects(cas.client(stranger).uploadSession(change.replace("CREATOR", "ANY")), problem("forbidden"));
  const proposed = await pending(cas.client(author).uploadSession(change));
  assert.equal((await cas.client(author).readSession(NAME)).hash, hash, "the session is what it was");
  const { text, difference, state, missing, approvals } = await cas.client(author).readProposal(NAME, proposed);
  assert.equal(text, change);
  assert.deepEqual([state, approvals], ["pending", 1]);
  assert.match(
    missing,
    /all of 2 \(1 satisfied\): missing\n {4}holder of a connection key: satisfied\n {4}at least 2 of 3 \(0 satisfied\): missing/,
  );
  assert.doesNotMatch(difference, /c4n4ry/);

  await assert.rejects(cas.client(stranger).proposals(NAME), problem("not_found"));
  await assert.rejects(cas.client(stranger).readProposal(NAME, proposed), problem("not_found"));
  await assert.rejects(cas.client(undefined).proposals(NAME), problem("not_found"));
  const listing = signProposalStatement({ action: "list", session: NAME, hash: "", policy: "" }, privateKey(2));
  assert.deepEqual(
    (await cas.client(undefined).proposals(NAME, listing)).map((each) => each.hash),
    [proposed],
    "a signer sees it",
  );
  const outsider = signProposalStatement({ action: "list", session: NAME, hash: "", policy: "" }, privateKey(3));
  await assert.rejects(cas.client(stranger).proposals(NAME, outsider), problem("not_found"));

  const client = cas.client(undefined);
  await assert.rejects(decide(client, "approve", proposed, 0, `${text} `), problem("bad_signature"));
  await assert.rejects(decide(client, "approve", proposed, 3, text), problem("not_found"));
  assert.equal((await decide(client, "approve", proposed, 0, text)).state, "pending");
  assert.equal((await decide(client, "approve", proposed, 0, text)).state, "pending", "one signer counts once");
  assert.equal((await decide(client, "approve", proposed, 1, text)).state, "in_force");
  assert.equal((await decide(client, "approve", proposed, 1, text)).state, "in_force", "C-24: again after a lost answer");
  assert.equal((await cas.client(author).readSession(NAME)).hash, proposed);
  await assert.rejects(decide(client, "reject", proposed, 2), problem("proposal_ended", /is in force/));
  const audit = auditedLines(cas);
  for (const event of ["proposal_created", "proposal_approved", "session_updated"]) assert.match(audit, new RegExp(`"${event}"`));
  await cas.stop();
  assert.equal(saidAloud(cas).includes("c4n4ry"), false, "proposals are sealed like sessions");
});

test("§12: signed uploads of the same text add up; approvals of several members at once put it in force exactly once", async (t) => {
  const cas = await startTestCas(t);
  const author = createTestClient();
  const { hash } = await cas.client(author).uploadSession(policy(`{require-all: [${signer(0)}, ${signer(1)}, ${signer(2)}]}`));
  const text = policy(twoOfThree, `predecessor: ${hash}`).replace("read: CREATOR", `read: ${author.keyHash}`);
  const signed = (at: number) => encodeSignedSession(signSession(text, privateKey(at)));
  const client = cas.client(undefined);
  const proposed = await pending(client.uploadSignedSession(signed(0)));
  const outcomes = await Promise.all([1, 2, 1, 2].map((at) => decide(client, "approve", proposed, at, text)));
  assert.equal(outcomes.at(-1)?.state, "in_force");
  assert.equal((await cas.client(author).readSession(NAME)).hash, proposed);
});

test("§12: a rejected, withdrawn, stale or expired proposal says so and does nothing any more", async (t) => {
  let now = new Date();
  const cas = await startTestCas(t, { now: () => now, selfProvision: AUDITED });
  const author = createTestClient();
  const rule = `{require-all: [${author.keyHash}, ${twoOfThree}]}`;
  const client = cas.client(author);
  const { hash } = await client.uploadSession(policy(rule));
  const change = (salt: string) => policy(rule, `predecessor: ${hash}\nsalt: ${salt.repeat(16)}`);
  const [first, second, third, fourth] = [
    await pending(client.uploadSession(change("a1"))),
    await pending(client.uploadSession(change("a2"))),
    await pending(client.uploadSession(change("a3"))),
    await pending(client.uploadSession(change("a4"))),
  ];
  assert.equal((await decide(client, "reject", first, 0)).state, "pending", "two of three can still approve");
  assert.equal((await decide(client, "reject", first, 1)).state, "rejected");
  await assert.rejects(decide(client, "approve", first, 2, change("a1")), problem("proposal_ended", /is rejected/));
  await assert.rejects(decide(client, "withdraw", second, 0), problem("forbidden", /by its author/));
  assert.equal((await client.decideProposal(NAME, second, { action: "withdraw" })).state, "withdrawn");
  await decide(client, "approve", third, 0, change("a3"));
  assert.equal((await decide(client, "approve", third, 1, change("a3"))).state, "in_force");
  await assert.rejects(decide(client, "approve", fourth, 0, change("a4")), problem("proposal_ended", /is stale/));
  const late = await pending(client.uploadSession(policy(rule, `predecessor: ${third}\nsalt: ${"a5".repeat(16)}`)));
  now = new Date(now.getTime() + 3 * 86_400_000);
  const states = new Map((await client.proposals(NAME)).map((each) => [each.hash, each.state]));
  assert.deepEqual(
    [first, second, third, fourth, late].map((each) => states.get(each)),
    ["rejected", "withdrawn", "in_force", "stale", "expired"],
  );
  const again = await pending(client.uploadSession(policy(rule, `predecessor: ${third}\nsalt: ${"a5".repeat(16)}`)));
  assert.equal(again, late, "an expired one can be proposed again");
  for (const event of ["rejected", "withdrawn", "stale", "expired"]) assert.match(auditedLines(cas), new RegExp(`"proposal_${event}"`));
});

test("§12: without update_proposals, and for whoever has no part in the rule, an upload is refused as ever", async (t) => {
  const cas = await startTestCas(t);
  const author = createTestClient();
  const rule = `{require-all: [${author.keyHash}, ${signer(0)}]}`;
  const client = cas.client(author);
  const { hash } = await client.uploadSession(policy(rule, "", "{enabled: false}"));
  await assert.rejects(client.uploadSession(policy(rule, `predecessor: ${hash}`)), problem("forbidden"));
  await assert.rejects(
    client.proposals(NAME).then((found) => assert.equal(found.length, 1)),
    { code: "ERR_ASSERTION" },
  );
});
