import assert from "node:assert/strict";
import { test } from "node:test";
import type { CasClient } from "@vouchsafe/protocol";
import { CasProblemError } from "@vouchsafe/protocol";
import { BAD_UPLOADS, expandInput } from "../../../policy/test/bad-inputs.ts";
import { createTestClient, startTestCas, type TestCas } from "../testing/test-cas.ts";

const HEAD = 'version: "0.3.12"\n';

/** Rules and places that an upload was refused for. */
async function refusedFor(client: CasClient, text: string): Promise<(string | number)[][]> {
  try {
    await client.uploadSession(text);
  } catch (error) {
    assert(error instanceof CasProblemError, String(error));
    return error.problem.diagnostics.map(({ rule, line, column }) => [rule, line, column]);
  }
  return assert.fail("it was accepted");
}

/** What stands before each of these inputs. */
const before: Readonly<Record<string, (cas: TestCas) => Promise<unknown>>> = {
  "B-107": (cas) => cas.client(createTestClient()).uploadSession(`${HEAD}name: t\naccess_policy: {update: ANY}\n`),
};

for (const input of BAD_UPLOADS.filter(([, rule]) => rule === "SL-47" || rule === "SL-43" || rule === "SL-40")) {
  const [number, rule] = input;
  test(`${number} ${rule}: a real CAS refuses it, and says where`, async (t) => {
    const cas = await startTestCas(t);
    await before[number]?.(cas);
    const { text, line, column } = expandInput(input);
    assert.deepEqual(await refusedFor(cas.client(createTestClient()), text), [[rule, line, column]]);
  });
}

test("B-110 SL-145: a real CAS takes it with a warning at its place", async (t) => {
  const cas = await startTestCas(t);
  const input = BAD_UPLOADS.find(([number]) => number === "B-110") ?? assert.fail();
  const { text, line, column } = expandInput(input);
  const { warnings } = await cas.client(createTestClient()).uploadSession(text);
  assert.deepEqual(
    warnings.map((warning) => [warning.rule, warning.line, warning.column]),
    [["SL-145", line, column]],
  );
  assert.match(warnings[0]?.message ?? "", /session o does not exist: services that use it cannot start/);
});

test("SL-182 a rule that hangs on a secret which is kept elsewhere, or has no usable value, is warned of where it stands", async (t) => {
  const cas = await startTestCas(t);
  const [owner, other] = [createTestClient(), createTestClient()];
  const client = cas.client(owner);
  await client.uploadSession(`${HEAD}name: keys\nsecrets: [{name: who, kind: ascii, value: ${owner.keyHash}, export: {session: t}}]\n`);
  const text = (more: string) =>
    `${HEAD}name: t\nsecrets: [{name: who, import: {session: keys}}, {name: own, kind: ascii, value: ${owner.keyHash}}, {name: bad, kind: ascii}]\naccess_policy:\n  update: ${more}\n  read: CREATOR\n`;
  const first = await client.uploadSession(text('["$$SCONE::who$$"]'));
  assert.deepEqual(
    first.warnings.map(({ rule, line, column }) => [rule, line, column]),
    [["SL-182", 5, 11]],
  );
  assert.match(first.warnings[0]?.message ?? "", /hangs on secret `who`, which is kept elsewhere: losing it can lock everyone out/);
  const next = (more: string, predecessor: string) => client.uploadSession(`${text(more)}predecessor: ${predecessor}\n`);
  const second = await next('["$$SCONE::own$$", CREATOR]', first.hash);
  assert.deepEqual(second.warnings, []);
  const third = await next('[CREATOR, "$$SCONE::bad$$"]', second.hash);
  assert.match(third.warnings.map(({ rule, message }) => `${rule} ${message}`).join(), /SL-182 .*`bad`, which has no usable value now/);
  assert.ok(other);
});

test("SL-183 whoever shuts himself out is told so, once, and only then", async (t) => {
  const cas = await startTestCas(t);
  const [owner, other] = [createTestClient(), createTestClient()];
  const client = cas.client(owner);
  let hash: string | undefined;
  const upload = async (rule: string) => {
    const predecessor = hash === undefined ? "" : `predecessor: ${hash}\n`;
    const uploaded = await client.uploadSession(`${HEAD}name: t\n${predecessor}access_policy:\n  update: ${rule}\n`);
    ({ hash } = uploaded);
    return uploaded.warnings.filter(({ rule: named }) => named === "SL-183").map(({ line, column, message }) => [line, column, message]);
  };
  for (const open of [
    "CREATOR",
    "ANY",
    `[${other.keyHash}, ${owner.keyHash}]`,
    `[{require-at-least-1: [${owner.keyHash}, ${other.keyHash}]}]`,
  ])
    assert.deepEqual(await upload(open), [], open);
  const [found = []] = await upload(other.keyHash);
  assert.deepEqual(found.slice(0, 2), [5, 11]);
  assert.match(String(found[2]), /no entry of `update` can be satisfied by you/);
});

test("SL-183 a session that nobody shall ever change is no mistake of this kind", async (t) => {
  const cas = await startTestCas(t);
  const { warnings } = await cas.client(createTestClient()).uploadSession(`${HEAD}name: t\naccess_policy: {update: NONE}\n`);
  assert.deepEqual(
    warnings.map(({ rule }) => rule),
    ["SL-172"],
  );
});
