import assert from "node:assert/strict";
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { type CasOptions, startCas } from "../start-cas.ts";
import { problem, testPolicy } from "../testing/policies.ts";
import type { TestCas } from "../testing/test-cas.ts";
import { carryDatabase, platformKeyOf, registrationOf, startOwnedCas, startWaitingCas } from "../testing/two-machines.ts";

const LISTEN = { host: "127.0.0.1", port: 0 };
const anchorOf = (cas: TestCas): string => `${platformKeyOf(cas)}.anchor`;

/** What opens a carried database on the machine of `machine`; ends with the test. */
const takeOver = (databasePath: string, machine: TestCas, more: Partial<CasOptions> = {}): Partial<CasOptions> => ({
  databasePath,
  platformKeyPath: platformKeyOf(machine),
  anchorPath: join(dirname(databasePath), "anchor"),
  ...more,
});

/** Tries to start on these files, which must fail. */
async function startError(t: TestContext, options: Partial<CasOptions>): Promise<Error> {
  try {
    const running = await startCas({ ...REQUIRED, ...options });
    t.after(() => running[Symbol.asyncDispose]());
  } catch (error) {
    assert(error instanceof Error);
    return error;
  }
  throw new assert.AssertionError({ message: "the CAS started" });
}
const REQUIRED: CasOptions = { databasePath: "", platformKeyPath: "", clientListen: LISTEN, serviceListen: LISTEN, writeLine: () => {} };

test("C-76 fail-over: the registered CAS opens the copied database on its machine, and clients and services notice nothing", async (t) => {
  const { cas, owner } = await startOwnedCas(t);
  const backup = await startWaitingCas(t);
  const { hash } = await cas.client(owner).uploadSession(testPolicy({ name: "shop", rest: "secrets: [{name: a, kind: ascii}]" }));
  const read = await cas.client(owner).readSession("shop");
  await cas.client(owner).registerInstance("backup", registrationOf(backup));
  const { casKeyHash, sessionEncryptionKey } = cas.running;
  await cas.stop();
  await backup.stop();
  const path = carryDatabase(cas.directory, backup, "taken-over");
  cpSync(anchorOf(cas), join(dirname(path), "anchor"));
  await backup.restart(takeOver(path, backup, { nodeKeys: [cas.agent.publicKey] }));
  assert.deepEqual(
    [backup.running.casKeyHash, backup.running.sessionEncryptionKey, backup.running.provisioningToken],
    [casKeyHash, sessionEncryptionKey, undefined],
  );
  const client = backup.client(owner);
  assert.equal((await client.version()).state, "provisioned");
  assert.deepEqual([(await client.readSessionHash("shop")).hash, (await client.readSession("shop")).text], [hash, read.text]);
  assert.equal((await client.healthReport()).backups, 0, "the running instance is no backup of itself");
  const evidence = async (userData: Uint8Array) => cas.agent.evidence("shop/api", userData);
  const attested = await backup.attest("shop/api", { evidence });
  attested.connection.close();
  await assert.rejects(client.removeInstance("backup", registrationOf(backup).address), problem("not_found"));
  const [self] = await client.registeredInstances();
  await assert.rejects(client.removeInstance("backup", self?.name ?? ""), problem("bad_request", /this CAS itself opens/));
  await client.uploadSession(testPolicy({ name: "new" }));

  await backup.stop();
  for (const name of ["cas.db", "cas.key-store"]) cpSync(join(dirname(path), name), join(cas.directory, name));
  await cas.restart();
  assert.ok(await cas.client(owner).readSessionHash("new"), "and back again on the first machine");
});

test("C-76 a machine that is not registered, or whose platform key changed (C-75), cannot open the copied files", async (t) => {
  const { cas, owner } = await startOwnedCas(t);
  const [backup, stranger] = [await startWaitingCas(t), await startWaitingCas(t)];
  await cas.client(owner).registerInstance("backup", registrationOf(backup));
  for (const each of [cas, backup, stranger]) await each.stop();
  const elsewhere = await startError(t, takeOver(carryDatabase(cas.directory, stranger, "copied"), stranger));
  assert.equal((elsewhere as { code?: string }).code, "KEY_STORE");
  assert.match(elsewhere.message, /sealed on another platform, and this machine is not registered in it/);
  rmSync(platformKeyOf(backup));
  const changed = await startError(t, takeOver(carryDatabase(cas.directory, backup, "copied"), backup));
  assert.match(changed.message, /this machine is not registered in it/);
  assert.match((changed as { remedy?: string }).remedy ?? "", /void once the platform key of its machine changes/);
});

test("C-2, C-76 two at once on the same files: the second one refuses to start", async (t) => {
  const { cas, owner } = await startOwnedCas(t);
  const backup = await startWaitingCas(t);
  await cas.client(owner).registerInstance("backup", registrationOf(backup));
  const database = join(cas.directory, "cas.db");
  const error = await startError(t, { databasePath: database, platformKeyPath: platformKeyOf(backup), anchorPath: anchorOf(cas) });
  assert.equal((error as { code?: string }).code, "STORE_LOCKED");
});

test("C-76 a key store that was sealed by another CAS does not open a database, and says whose it is", async (t) => {
  const [first, second] = [await startOwnedCas(t), await startOwnedCas(t)];
  const backup = await startWaitingCas(t);
  for (const { cas, owner } of [first, second]) await cas.client(owner).registerInstance("backup", registrationOf(backup));
  for (const { cas } of [first, second]) await cas.stop();
  await backup.stop();
  const path = carryDatabase(first.cas.directory, backup, "mixed");
  cpSync(join(second.cas.directory, "cas.key-store"), join(dirname(path), "cas.key-store"));
  assert.match((await startError(t, takeOver(path, backup))).message, /not what this CAS/);
  const text = readFileSync(join(first.cas.directory, "cas.key-store"), "utf8");
  const forged = text.replaceAll(first.cas.running.casKeyHash, second.cas.running.casKeyHash);
  writeFileSync(join(dirname(path), "cas.key-store"), forged);
  assert.match((await startError(t, takeOver(path, backup))).message, /was changed/);
});

test("C-5, C-77 a snapshot is restored on a registered machine only, and as a roll-back that the owner accepts", async (t) => {
  const { cas, owner } = await startOwnedCas(t);
  const backup = await startWaitingCas(t);
  await cas.restart({ snapshots: { directory: join(cas.directory, "snapshots"), intervalMs: 3_600_000 } });
  await cas.client(owner).registerInstance("backup", registrationOf(backup));
  await cas.client(owner).uploadSession(testPolicy({ name: "before" }));
  const snapshot = (await cas.running.takeSnapshot()) ?? assert.fail();
  await cas.client(owner).uploadSession(testPolicy({ name: "after" }));
  await cas.stop();
  await backup.stop();
  const stranger = await startWaitingCas(t);
  await stranger.stop();
  assert.match((await startError(t, takeOver(carryDatabase(snapshot, stranger, "s"), stranger))).message, /is not registered in it/);
  const path = carryDatabase(snapshot, backup, "restored");
  await backup.restart(takeOver(path, backup));
  const client = backup.client(owner);
  assert.equal((await client.version()).state, "rollback-suspected");
  await assert.rejects(client.readSessionHash("before"), problem("unavailable", /roll-back suspected/));
  await assert.rejects(client.registerInstance("backup", { address: "127.0.0.1:1" }), problem("unavailable", /roll-back suspected/));
  assert.match(await client.acceptRollback(), /anchor .* is missing/);
  assert.ok(await client.readSessionHash("before"));
  await assert.rejects(client.readSessionHash("after"), problem("not_found"));
  assert.equal(existsSync(join(dirname(path), "anchor")), true);
});
