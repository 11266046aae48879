import assert from "node:assert/strict";
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { problem, refusal } from "../testing/policies.ts";
import { createTestClient, startTestCas } from "../testing/test-cas.ts";

const session = (name: string) => `version: "0.3"\nname: ${name}\nsalt: ${"ab".repeat(16)}\n`;
const FILES = ["cas.db", "cas.key-store"];

test("hazard E5: a database that was put back is not served until the owner accepts the loss", async (t) => {
  const owner = createTestClient();
  const cas = await startTestCas(t, { selfProvision: { config: "", owner: { keyHash: owner.keyHash, pem: owner.certificate } } });
  await cas.client(owner).uploadSession(session("old"));
  const copy = join(cas.directory, "yesterday");
  await cas.stop();
  for (const file of FILES) cpSync(join(cas.directory, file), join(copy, file));
  await cas.restart();
  await cas.client(owner).uploadSession(session("new"));
  await cas.stop();
  for (const file of FILES) {
    rmSync(join(cas.directory, file), { force: true });
    cpSync(join(copy, file), join(cas.directory, file));
  }
  await cas.restart();
  const client = cas.client(owner);
  assert.equal((await client.version()).state, "rollback-suspected");
  assert.ok(cas.lines.some((line) => line.includes("roll-back suspected")));
  await assert.rejects(client.readSessionHash("old"), problem("unavailable", /anchor/));
  await assert.rejects(cas.attest("old/api"), refusal("unavailable", undefined, /rollback-suspected/));
  await assert.rejects(cas.client(createTestClient()).acceptRollback(), problem("forbidden"));
  assert.match(await client.acceptRollback(), /has seen commit \d+/);
  await client.readSessionHash("old");
  await assert.rejects(client.readSession("new"), problem("not_found"));
  await cas.restart();
  assert.equal((await cas.client(owner).version()).state, "provisioned");
});

test("C-1: a key store without its database, and the reverse, stop the start", async (t) => {
  const cas = await startTestCas(t);
  await cas.stop();
  const store = join(cas.directory, "cas.key-store");
  cpSync(store, `${store}.kept`);
  rmSync(store);
  await assert.rejects(cas.restart(), { code: "KEY_STORE", message: /key-store is missing/ });
  cpSync(`${store}.kept`, store);
  await cas.restart({ platformKeyPath: join(cas.directory, "another", "key") }).then(
    () => assert.fail("another platform"),
    (error: { code: string }) => assert.equal(error.code, "KEY_STORE"),
  );
  await cas.restart();
});
