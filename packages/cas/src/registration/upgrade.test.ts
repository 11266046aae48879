import assert from "node:assert/strict";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { Database } from "../database/database.ts";
import { startCas } from "../start-cas.ts";
import { problem, refusal, testPolicy } from "../testing/policies.ts";
import { AUDITED, auditedLines } from "../testing/said-aloud.ts";
import { carryDatabase, platformKeyOf, registrationOf, startOwnedCas, startWaitingCas } from "../testing/two-machines.ts";

const OLD = { version: "1.0.0", securityVersion: 1 };
const NEW = { version: "2.0.0", securityVersion: 2 };
const LISTEN = { host: "127.0.0.1", port: 0 };

test("C-78, C-79 upgrade: the new version takes over, the database gets a new key, and the old software never opens it again", async (t) => {
  const { cas, owner } = await startOwnedCas(t, { software: OLD });
  await cas.client(owner).updateConfig(AUDITED.config);
  const { hash } = await cas.client(owner).uploadSession(testPolicy({ name: "shop", rest: "secrets: [{name: a, kind: ascii}]" }));
  const upgrade = await startWaitingCas(t, {
    software: NEW,
    platformKeyPath: platformKeyOf(cas),
    anchorPath: join(cas.directory, "anchor-of-the-new"),
  });
  const [oldBackup, newBackup] = [await startWaitingCas(t, { software: OLD }), await startWaitingCas(t, { software: NEW })];
  await cas.client(owner).registerInstance("backup", { ...registrationOf(oldBackup), name: "node-2" });
  await assert.rejects(cas.client(owner).startUpgrade(), problem("upgrade_missing", /version 1\.0\.0, is not registered/));
  await cas.client(owner).registerInstance("upgrade", { ...registrationOf(upgrade), name: "node-1" });
  await cas.client(owner).registerInstance("upgrade", { ...registrationOf(newBackup), name: "node-3" });
  await assert.rejects(cas.client(owner).startUpgrade(), problem("upgrade_missing", /version 1\.0\.0/), "the old software still runs");
  const { casKeyHash, sessionEncryptionKey } = cas.running;
  await upgrade.stop();
  await cas.stop();
  const before = carryDatabase(cas.directory, cas, "before");

  await cas.restart({ software: NEW });
  const client = cas.client(owner);
  assert.equal((await client.version()).version, "2.0.0");
  assert.deepEqual(await client.startUpgrade(), { version: "2.0.0", kept: ["node-3"], removed: ["node-2"] });
  assert.deepEqual(
    (await client.registeredInstances()).map(({ purpose, name }) => [purpose, name]),
    [["backup", "node-3"]],
  );
  assert.match(auditedLines(cas), /"upgrade_started","data":\{"version":"2\.0\.0","kept":\["node-3"\],"removed":\["node-2"\]\}/);
  await assert.rejects(client.startUpgrade(), problem("upgrade_missing"), "once");
  assert.deepEqual([cas.running.casKeyHash, cas.running.sessionEncryptionKey], [casKeyHash, sessionEncryptionKey]);
  assert.equal((await client.readSessionHash("shop")).hash, hash);
  (await cas.attest("shop/api")).connection.close();
  await client.uploadSession(testPolicy({ name: "new" }));
  await cas.stop();

  await assert.rejects(cas.restart({ software: OLD }), { code: "KEY_STORE", message: /security version 2; this software has 1/ });
  const formerKeyStore = readFileSync(join(dirname(before), "cas.key-store"));
  const now = carryDatabase(cas.directory, oldBackup, "now");
  await oldBackup.stop();
  const asOld = { databasePath: now, platformKeyPath: platformKeyOf(oldBackup), anchorPath: join(dirname(now), "anchor"), software: OLD };
  await assert.rejects(oldBackup.restart(asOld), { code: "KEY_STORE", message: /this machine is not registered in it/ });
  writeFileSync(join(dirname(now), "cas.key-store"), formerKeyStore);
  await assert.rejects(oldBackup.restart(asOld), { code: "STORE_TAMPERED" }, "the former key does not open what the new one sealed");

  await newBackup.stop();
  const taken = carryDatabase(cas.directory, newBackup, "taken-over");
  cpSync(`${platformKeyOf(cas)}.anchor`, join(dirname(taken), "anchor"));
  await newBackup.restart({ databasePath: taken, platformKeyPath: platformKeyOf(newBackup), anchorPath: join(dirname(taken), "anchor") });
  assert.ok(await newBackup.client(owner).readSessionHash("new"), "the registered upgrade of the other machine is a backup now");
});

test("C-5, C-79 a database from before the roll-over is recognised as an old one: it needs its old key store, and the owner's word", async (t) => {
  const { cas, owner } = await startOwnedCas(t);
  await cas.client(owner).registerInstance("upgrade", registrationOf(cas));
  await cas.stop();
  const old = carryDatabase(cas.directory, cas, "old");
  await cas.restart();
  await cas.client(owner).startUpgrade();
  await cas.stop();
  const anchor = `${platformKeyOf(cas)}.anchor`;
  const mixed = carryDatabase(cas.directory, cas, "mixed");
  cpSync(old, mixed);
  const options = { platformKeyPath: platformKeyOf(cas), clientListen: LISTEN, serviceListen: LISTEN, writeLine: () => {} };
  await assert.rejects(startCas({ ...options, databasePath: mixed, anchorPath: anchor }), { code: "STORE_TAMPERED" });
  await cas.restart({ databasePath: old });
  assert.equal((await cas.client(owner).version()).state, "rollback-suspected");
});

test("C-79 while the database gets a new key, clients are told to wait and services are refused", async (t) => {
  const { cas, owner } = await startOwnedCas(t);
  const client = cas.client(owner);
  await client.uploadSession(testPolicy({ name: "shop" }));
  await client.registerInstance("upgrade", registrationOf(cas));
  const { reseal } = Database.prototype;
  const mayGoOn = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  t.mock.method(Database.prototype, "reseal", async function slow(this: Database, ...given: Parameters<typeof reseal>) {
    reached.resolve();
    await mayGoOn.promise;
    return reseal.apply(this, given);
  });
  const upgrading = client.startUpgrade();
  await reached.promise;
  assert.equal((await cas.client().version()).state, "upgrading");
  assert.equal(await cas.client().isReady(), false);
  await assert.rejects(cas.client(owner).readSessionHash("shop"), problem("unavailable", /upgrading/));
  await assert.rejects(cas.attest("shop/api"), refusal("unavailable", undefined, /upgrading/));
  mayGoOn.resolve();
  await upgrading;
  assert.equal((await cas.client().version()).state, "provisioned");
  (await cas.attest("shop/api")).connection.close();
});
