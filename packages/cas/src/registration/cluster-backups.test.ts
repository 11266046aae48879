import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { backupAudience, requestCasStatement } from "@vouchsafe/protocol";
import { choosePlatformKey } from "../sealing/choose-platform-key.ts";
import { keyStorePath } from "../sealing/key-store.ts";
import { problem, testPolicy } from "../testing/policies.ts";
import { AUDITED, auditedLines } from "../testing/said-aloud.ts";
import { createTestClient, type TestCas } from "../testing/test-cas.ts";
import { ISSUER, TestIssuer } from "../testing/test-issuer.ts";
import { carryDatabase, platformKeyOf, registrationOf, startOwnedCas, startWaitingCas } from "../testing/two-machines.ts";
import { CAS_SOFTWARE } from "../version.ts";

const OPERATOR = "system:serviceaccount:scone-system:vouchsafe-operator";
const backupsOf = async (cas: TestCas) => (await requestCasStatement(cas.client(), {}, new Date())).statement.backups;

test("C-75, C-74 a cluster that the owner allowed registers its nodes as backups, without the owner's key and without a certificate", async (t) => {
  const { cas, owner } = await startOwnedCas(t);
  await cas.client(owner).updateConfig(AUDITED.config);
  const backup = await startWaitingCas(t);
  const cluster = new TestIssuer("one", OPERATOR);
  const request = { ...registrationOf(backup), name: "node-2" };
  const audience = backupAudience(cas.running.casKeyHash, request);
  const statement = await cluster.statement({ audience });

  await assert.rejects(cas.client().enrolBackup(request, statement), problem("forbidden", /has allowed no cluster to register/));
  await assert.rejects(cas.client(createTestClient()).putBackupIssuer(cluster.issuer), problem("forbidden", /owner/));
  await cas.client(owner).putNodeIssuer(cluster.issuer);
  await assert.rejects(cas.client().enrolBackup(request, statement), problem("forbidden"), "who may name agents may not register backups");
  await cas.client(owner).putBackupIssuer(cluster.issuer);
  assert.deepEqual(await backupsOf(cas), []);
  const registered = await cas.client().enrolBackup(request, statement);
  assert.deepEqual([registered.name, await backupsOf(cas)], ["node-2", [registered.instanceKey]]);
  assert.equal((await cas.client().enrolBackup(request, statement)).instanceKey, registered.instanceKey, "again is harmless");

  await cas.restart();
  assert.deepEqual(await backupsOf(cas), [registered.instanceKey]);
  await cas.client().enrolBackup(request, statement);
  await cas.client(owner).removeBackupIssuer(ISSUER);
  await assert.rejects(cas.client().enrolBackup(request, statement), problem("forbidden"));
  assert.deepEqual(await backupsOf(cas), [registered.instanceKey], "what was registered stays");
  assert.match(
    auditedLines(cas),
    /"backup_issuer_changed"[^\n]*vouchsafe-operator[\s\S]*"backup_registered"[\s\S]*"backup_issuer_changed"/,
  );
});

test("C-75, field/2026-evidence-subject: a statement is good for one registration at one CAS, and for nothing else", async (t) => {
  const { cas, owner } = await startOwnedCas(t);
  const backup = await startWaitingCas(t);
  const cluster = new TestIssuer("one", OPERATOR);
  await cas.client(owner).putBackupIssuer(cluster.issuer);
  const request = { ...registrationOf(backup), name: "node-2" };
  const audience = backupAudience(cas.running.casKeyHash, request);
  const own = { ...registrationOf(cas), name: "self" };
  const cases = [
    { what: "for another CAS", audience: backupAudience(backup.running.casKeyHash, request) },
    { what: "about another key", audience: backupAudience(cas.running.casKeyHash, { ...request, casKeyHash: cas.running.casKeyHash }) },
    { what: "about another name", audience: backupAudience(cas.running.casKeyHash, { ...request, name: "node-3" }) },
    { what: "about another address", audience: backupAudience(cas.running.casKeyHash, { ...request, address: "127.0.0.1:1" }) },
    { what: "about a node agent", audience: `vouchsafe-node:${request.casKeyHash}` },
    { what: "that is a login elsewhere too", audience: [audience, "https://kubernetes.default.svc"] },
  ];
  for (const { what, audience: other } of cases) {
    await assert.rejects(cas.client().enrolBackup(request, await cluster.statement({ audience: other })), problem("forbidden"), what);
  }
  for (const change of [{ subject: "system:serviceaccount:default:default" }, { issuer: "https://elsewhere" }, { expires: "-10m" }]) {
    await assert.rejects(cas.client().enrolBackup(request, await cluster.statement({ audience, ...change })), problem("forbidden"));
  }
  const unnamed = { address: request.address, name: "node-2" };
  const aboutNoKey = await cluster.statement({ audience: backupAudience(cas.running.casKeyHash, unnamed) });
  await assert.rejects(cas.client().enrolBackup(unnamed, aboutNoKey), problem("bad_request", /casKeyHash/));
  const aboutItself = await cluster.statement({ audience: backupAudience(cas.running.casKeyHash, own) });
  await assert.rejects(cas.client().enrolBackup(own, aboutItself), problem("not_attested", undefined));
  assert.deepEqual(await backupsOf(cas), []);
});

test("C-76 of several platform keys the one that opens the key store counts: a volume that moved to a registered node", async (t) => {
  const { cas, owner } = await startOwnedCas(t);
  const backup = await startWaitingCas(t);
  const { securityVersion } = CAS_SOFTWARE;
  const [own, other] = [platformKeyOf(cas), platformKeyOf(backup)];
  const chosen = (keyStore: string, ...keys: readonly string[]) => choosePlatformKey(keyStore, keys, securityVersion);
  const keyStore = keyStorePath(join(cas.directory, "cas.db"));
  assert.equal(chosen(join(cas.directory, "none.key-store"), other, own), other, "nothing is there yet: the first");
  assert.equal(chosen(keyStore, other, own), own, "the node is not registered yet: the key that came with the volume");
  await cas.client(owner).registerInstance("backup", registrationOf(backup));
  assert.equal(chosen(keyStore, join(cas.directory, "missing"), other, own), other, "a registered node opens it by itself");
  await cas.client(owner).uploadSession(testPolicy({ name: "shop" }));
  await cas.stop();
  await backup.stop();
  const databasePath = carryDatabase(cas.directory, backup, "moved");
  const anchorPath = join(dirname(databasePath), "anchor");
  cpSync(`${own}.anchor`, anchorPath);
  await backup.restart({
    databasePath,
    anchorPath,
    platformKeyPath: chosen(keyStorePath(databasePath), join(backup.directory, "no"), other),
  });
  assert.ok(await backup.client(owner).readSessionHash("shop"));
});
