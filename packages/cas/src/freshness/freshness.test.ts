import assert from "node:assert/strict";
import { cpSync, rmSync, writeFileSync } from "node:fs";
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

test("hazard E6: whichever of the files are put back to an older state, it is found, or nothing is lost", async (t) => {
  const owner = createTestClient();
  const cas = await startTestCas(t, { selfProvision: { config: "", owner: { keyHash: owner.keyHash, pem: owner.certificate } } });
  await cas.client(owner).uploadSession(session("old"));
  await cas.stop();
  const files = ["cas.db", "cas.key-store", join("platform", "key"), join("platform", "key.anchor")];
  const keep = (where: string) => {
    for (const file of files) cpSync(join(cas.directory, file), join(cas.directory, where, file));
  };
  keep("older");
  await cas.restart();
  await cas.client(owner).uploadSession(session("new"));
  await cas.stop();
  keep("newer");
  const outcomes: string[] = [];
  for (let subset = 0; subset < 2 ** files.length; subset += 1) {
    const isOld = (at: number) => (subset & (1 << at)) !== 0;
    for (const [at, file] of files.entries()) cpSync(join(cas.directory, isOld(at) ? "older" : "newer", file), join(cas.directory, file));
    for (const left of ["cas.db-wal", "cas.db-shm"]) rmSync(join(cas.directory, left), { force: true });
    await cas.restart();
    const client = cas.client(owner);
    const { state } = await client.version();
    if (state === "provisioned") await client.readSessionHash(isOld(0) ? "old" : "new");
    outcomes.push(`${isOld(0) ? "old" : "new"} database, ${isOld(3) ? "old" : "new"} anchor: ${state}`);
    await cas.stop();
  }
  // Key store and platform key do not change, so they say nothing of age. Who puts back the anchor too is not noticed: docs/security.md says so.
  assert.deepEqual([...new Set(outcomes)].toSorted(), [
    "new database, new anchor: provisioned",
    "new database, old anchor: provisioned",
    "old database, new anchor: rollback-suspected",
    "old database, old anchor: provisioned",
  ]);
});

test("C-5: an anchor that is missing, damaged or another database's is as suspicious as one that is ahead", async (t) => {
  const owner = createTestClient();
  const cas = await startTestCas(t, { selfProvision: { config: "", owner: { keyHash: owner.keyHash, pem: owner.certificate } } });
  await cas.client(owner).uploadSession(session("kept"));
  await cas.stop();
  const anchor = join(cas.directory, "platform", "key.anchor");
  const changes: readonly (readonly [() => void, RegExp])[] = [
    [() => rmSync(anchor), /is missing/],
    [() => writeFileSync(anchor, Buffer.alloc(192, 7)), /is damaged or belongs to another database/],
    [() => writeFileSync(anchor, Buffer.alloc(192)), /is missing/],
  ];
  for (const [change, says] of changes) {
    change();
    await cas.restart();
    const client = cas.client(owner);
    await assert.rejects(client.readSessionHash("kept"), problem("unavailable", says));
    await client.attest("n");
    await client.acceptRollback();
    await client.readSessionHash("kept");
    await cas.restart();
    assert.equal((await cas.client(owner).version()).state, "provisioned");
    await cas.stop();
  }
});
