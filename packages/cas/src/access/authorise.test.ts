import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSession } from "@vouchsafe/policy";
import { CasProblemError } from "@vouchsafe/protocol";
import { ApiError } from "../cas-error.ts";
import { DEFAULT_ROOT } from "../sessions/root-session.ts";
import type { SessionVersion } from "../sessions/session-records.ts";
import { problem, testPolicy } from "../testing/policies.ts";
import { createTestClient, startTestCas } from "../testing/test-cas.ts";
import type { ValueSource } from "../values/resolve-secrets.ts";
import { assertPermitted, type Credential, isPermitted } from "./authorise.ts";

const [owner, stranger] = [createTestClient(), createTestClient()];
const as = ({ keyHash }: { readonly keyHash: string }): Credential => ({ certificateKeyHash: keyHash, signers: [] });
/** Rules without placeholders need no values. */
const NOWHERE: ValueSource = {
  rows: { get: () => assert.fail("no value is needed") },
  remote: { find: () => assert.fail("no value is needed") },
  vaults: { find: () => assert.fail("no value is needed") },
} as unknown as ValueSource; // none of it is asked

function version(rules: string): SessionVersion {
  const { session } = parseSession(testPolicy({ name: "shop", rest: `access_policy: {${rules}}` }));
  assert(session !== undefined);
  const uploader = { kind: "certificate", keyHash: owner.keyHash } as unknown as SessionVersion["uploader"]; // no rule here asks for it
  return { name: "shop", hash: "ab".repeat(32), session, uploader, uploadedAt: "2026-11-28T12:00:00Z", isHashPublic: false };
}

test("SL-171: who may create below a session may list it, and nothing else follows from that", async () => {
  const open = version(`read: ${owner.keyHash}, update: ${owner.keyHash}, create_sessions: ${stranger.keyHash}`);
  const may = (operation: Parameters<typeof isPermitted>[2], who = stranger) => isPermitted(NOWHERE, open, operation, as(who));
  assert.deepEqual(await Promise.all([may("create_sessions"), may("list_sessions")]), [true, true]);
  assert.deepEqual(await Promise.all([may("read"), may("update")]), [false, false]);
  assert.equal(await may("list_sessions", createTestClient()), false);
  const root = { ...open, hash: DEFAULT_ROOT.hash };
  assert.equal(await isPermitted(NOWHERE, root, "list_sessions", as(stranger)), false, "an unclaimed root shows nobody its names");
  assert.deepEqual(await Promise.all([may("read", owner), may("list_sessions", owner), may("create_sessions", owner)]), [
    true,
    true,
    false,
  ]);
});

test("a refusal says whether anything could be changed, and who asked", async () => {
  const refusedFor = async (rules: string, operation: "update" | "create_sessions", credential: Credential) => {
    const error = await assertPermitted(NOWHERE, version(rules), operation, credential, "it").catch((caught: unknown) => caught);
    assert(error instanceof ApiError);
    return [error.code, error.message];
  };
  assert.equal((await refusedFor("update: NONE", "update", as(stranger)))[0], "immutable");
  assert.equal((await refusedFor(`update: ${owner.keyHash}, create_sessions: NONE`, "create_sessions", as(stranger)))[0], "forbidden");
  const [forbidden, message] = await refusedFor(`update: ${owner.keyHash}`, "update", as(stranger));
  assert.deepEqual([forbidden, message], ["forbidden", `it is not permitted by update of session shop (key hash ${stranger.keyHash})`]);
  const nobody = await refusedFor(`update: ${owner.keyHash}`, "update", { certificateKeyHash: undefined, signers: [] });
  assert.deepEqual(nobody, ["forbidden", "it is not permitted by update of session shop (no client certificate)"]);
  assert.equal(
    (await refusedFor(`update: ${owner.keyHash}`, "update", { certificateKeyHash: undefined, signers: [stranger.keyHash] }))[0],
    "quorum",
  );
});

test("SL-182: rules and roles count with the values of secrets; one that is missing is named, others are not", async (t) => {
  const cas = await startTestCas(t);
  const helper = createTestClient();
  const policy = (more: string) =>
    testPolicy({
      name: "shop",
      rest: `${more}
access_policy: {update: [CREATOR, "$$SCONE::who$$", "$$SCONE::nobody$$"], read: [CREATOR, ${stranger.keyHash}]}
secrets: [{name: who, kind: ascii, value: ${owner.keyHash}}, {name: nobody, import: {session: none}}, {name: helper, kind: ascii, value: ${helper.keyHash}}, {name: pw, kind: ascii, size: 12}]
roles: [{name: r, members: ["$$SCONE::helper$$"], may: [{read_secret: [pw]}]}]`,
    });
  const { hash } = await cas.client(owner).uploadSession(policy(""));
  const update = (who: typeof owner) => cas.client(who).uploadSession(policy(`predecessor: ${hash}\nsalt: ${"00".repeat(16)}`));
  await assert.rejects(update(stranger), problem("forbidden", /secret nobody cannot be read, so its entry was skipped$/m));
  await assert.rejects(update(stranger), (error) => error instanceof CasProblemError && !error.problem.msg.join().includes("secret who"));
  assert.equal((await cas.client(helper).readSecret("shop", "pw")).value.length, 12);
  await assert.rejects(cas.client(stranger).readSecret("shop", "pw"));
});
