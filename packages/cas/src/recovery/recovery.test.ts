import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CasClient, requestCasStatement, type SignedShare } from "@vouchsafe/protocol";
import { parseOwnerConfig } from "../config/owner-config.ts";
import { type CasOptions, type RunningCas, startCas } from "../start-cas.ts";
import { problem, testPolicy } from "../testing/policies.ts";
import { auditedLines } from "../testing/said-aloud.ts";
import { createTestClient, type TestCas, type TestClient } from "../testing/test-cas.ts";
import { carryDatabase, platformKeyOf, registrationOf, startOwnedCas, startWaitingCas } from "../testing/two-machines.ts";
import { signShare } from "./signed-share.ts";

const LISTEN = { host: "127.0.0.1", port: 0 };
const AUDIT = '[audit_log]\nmode = "unsigned"\n';

const config = (holders: readonly TestClient[], threshold: number): string =>
  `${AUDIT}[recovery]\nthreshold = ${threshold}\nkeys = [${holders.map(({ certificate }) => `"""\n${certificate}"""`).join(", ")}]\n`;

/** A CAS in state recovery: it has not started until enough shares are there. */
interface Waiting {
  readonly client: CasClient;
  readonly started: Promise<RunningCas>;
  readonly lines: readonly string[];
  share(holder: TestClient): Promise<SignedShare>;
}

async function startWaitingForHolders(
  t: TestContext,
  options: Partial<CasOptions> & Pick<CasOptions, "databasePath" | "platformKeyPath">,
): Promise<Waiting> {
  const lines: string[] = [];
  const end = new AbortController();
  const { signal } = end;
  const started = startCas({ clientListen: LISTEN, serviceListen: LISTEN, writeLine: (line) => lines.push(line), signal, ...options });
  t.after(async () => {
    end.abort();
    await started.then(
      (running) => running[Symbol.asyncDispose](),
      (error: unknown) => assert.equal(error, signal.reason),
    );
  });
  const find = (pattern: RegExp): string | undefined => lines.map((line) => pattern.exec(line)?.[1]).find((found) => found !== undefined);
  while (find(/serving recovery on 127\.0\.0\.1:(\d+)/) === undefined) await Promise.race([sleep(20), started]);
  const pin = { casKeyHash: find(/CAS recovery key hash: (\S+)/) };
  const client = new CasClient({ host: "127.0.0.1", port: Number(find(/serving recovery on 127\.0\.0\.1:(\d+)/)), pin });
  t.after(() => client.close());
  const { statement } = await requestCasStatement(client, pin, new Date());
  const share = async ({ privateKey }: TestClient) =>
    signShare(await client.recovery(), statement.recoveryKey ?? "", createPrivateKey(privateKey));
  return { client, started, lines, share };
}

/** The database of a stopped CAS on a machine that nobody registered. */
async function lost(cas: TestCas, folder = "lost"): Promise<{ databasePath: string; platformKeyPath: string; anchorPath: string }> {
  await cas.stop();
  const databasePath = carryDatabase(cas.directory, cas, folder);
  mkdirSync(join(dirname(databasePath), "other"));
  return {
    databasePath,
    platformKeyPath: join(dirname(databasePath), "other", "key"),
    anchorPath: join(dirname(databasePath), "other", "anchor"),
  };
}

test("hazard E12, C-80 two of three holders open the database on a machine that nobody registered; the owner accepts the possible loss", async (t) => {
  const { cas, owner } = await startOwnedCas(t);
  const holders = [createTestClient(), createTestClient(), createTestClient()] as const;
  const [one, two, three] = holders;
  await cas.client(owner).updateConfig(config(holders, 2));
  const { statement } = await requestCasStatement(cas.client(), {}, new Date());
  assert.deepEqual(statement.recovery, { threshold: 2, holders: holders.map(({ keyHash }) => keyHash) });
  assert.equal(statement.recoveryKey, null);
  const { hash } = await cas.client(owner).uploadSession(testPolicy({ name: "shop", rest: "secrets: [{name: a, kind: ascii}]" }));
  const { casKeyHash } = cas.running;
  const waiting = await startWaitingForHolders(t, await lost(cas));
  const { client } = waiting;
  assert.equal((await client.version()).state, "recovery");
  assert.equal(await client.isReady(), false);
  await assert.rejects(client.readSessionHash("shop"), problem("unavailable", /waits for the holders/));
  const request = await client.recovery();
  assert.deepEqual([request.cas, request.threshold, request.shares.length, request.handedIn], [casKeyHash, 2, 3, []]);
  assert.deepEqual((await requestCasStatement(client, {}, new Date())).statement.recovery, statement.recovery);

  const stranger = createTestClient();
  await assert.rejects(waiting.share(stranger), { code: "RECOVERY", message: /no share for the key/ });
  const share = await waiting.share(one);
  const changed: readonly (readonly [Partial<SignedShare>, string])[] = [
    [{ holder: stranger.keyHash }, "not_found"],
    [{ holder: two.keyHash }, "bad_signature"],
    [{ sealed: (await waiting.share(two)).sealed }, "bad_signature"],
    [{ recoveryKey: "ab".repeat(32) }, "bad_signature"],
    [{ cas: stranger.keyHash }, "bad_signature"],
  ];
  for (const [change, code] of changed) await assert.rejects(client.submitShare({ ...share, ...change }), problem(code));
  assert.deepEqual(await client.submitShare(share), { threshold: 2, missing: 1 });
  assert.deepEqual(await client.submitShare(share), { threshold: 2, missing: 1 }, "one holder counts once");
  assert.deepEqual((await client.recovery()).handedIn, [one.keyHash]);
  assert.deepEqual(await client.submitShare(await waiting.share(three)), { threshold: 2, missing: 0 });

  const running = await waiting.started;
  assert.equal(running.casKeyHash, casKeyHash);
  const owned = new CasClient({ ...running.clientAddress, pin: { casKeyHash }, clientIdentity: owner });
  t.after(() => owned.close());
  assert.equal((await owned.version()).state, "rollback-suspected");
  assert.match(await owned.acceptRollback(), /is missing/);
  assert.equal((await owned.readSessionHash("shop")).hash, hash);
});

/** Makes a lost CAS with one holder, and lets it be recovered. */
async function recoverAlone(t: TestContext, files: Awaited<ReturnType<typeof lost>>, holder: TestClient): Promise<RunningCas> {
  const waiting = await startWaitingForHolders(t, files);
  await waiting.client.submitShare(await waiting.share(holder));
  return waiting.started;
}

test("C-80 afterwards the machine opens the database by itself, and who recovered it is in the log", async (t) => {
  const { cas, owner } = await startOwnedCas(t);
  const holder = createTestClient();
  await cas.client(owner).updateConfig(config([holder], 1));
  const { casKeyHash } = cas.running;
  const files = await lost(cas);
  const recovered = await recoverAlone(t, files, holder);
  const client = new CasClient({ ...recovered.clientAddress, pin: { casKeyHash }, clientIdentity: owner });
  await client.acceptRollback();
  client.close();
  await recovered[Symbol.asyncDispose]();
  const again = await startCas({ ...files, clientListen: LISTEN, serviceListen: LISTEN, writeLine: () => {} });
  const reader = new CasClient({ ...again.clientAddress, pin: { casKeyHash }, clientIdentity: owner });
  assert.equal((await reader.version()).state, "provisioned");
  reader.close();
  await again[Symbol.asyncDispose]();
  using database = new DatabaseSync(files.databasePath, { readOnly: true });
  const entries = database
    .prepare("SELECT entry FROM log")
    .all()
    .map(({ entry }) => String(entry));
  assert.equal(entries.filter((entry) => entry.includes(`"database_recovered","data":{"holders":["${holder.keyHash}"]}`)).length, 1);
});

test("C-80, field/2025-02-recovery-by-any-key: a changed share is noticed by its holder's name, and shares of another database do not open this one", async (t) => {
  const [holder, other] = [createTestClient(), createTestClient()];
  const { cas, owner } = await startOwnedCas(t);
  await cas.client(owner).updateConfig(config([holder, other], 2));
  const files = await lost(cas);
  const path = join(dirname(files.databasePath), "cas.key-store");
  const store = JSON.parse(readFileSync(path, "utf8"));
  const foreign = await startOwnedCas(t);
  await foreign.cas.client(foreign.owner).updateConfig(config([holder, other], 2));
  const theirs = JSON.parse(readFileSync(join(foreign.cas.directory, "cas.key-store"), "utf8"));
  store.recovery.shares[0].sealed = theirs.recovery.shares[0].sealed;
  writeFileSync(path, JSON.stringify(store));
  const waiting = await startWaitingForHolders(t, files);
  const wrong = await waiting.share(holder);
  await assert.rejects(
    waiting.client.submitShare(wrong),
    problem("invalid_value", new RegExp(`what ${holder.keyHash} handed in is not the share`)),
  );

  const mixed = await lost(foreign.cas, "mixed");
  cpSync(files.databasePath, mixed.databasePath);
  const second = await startWaitingForHolders(t, mixed);
  await second.client.submitShare(await second.share(holder));
  await assert.rejects(second.client.submitShare(await second.share(other)), problem("invalid_value", /do not belong together/));
  assert.deepEqual((await second.client.recovery()).handedIn, [], "collected anew");
});

test("C-78, C-80 an upgrade makes new shares: those of before do not open what follows", async (t) => {
  const { cas, owner } = await startOwnedCas(t);
  const holder = createTestClient();
  await cas.client(owner).updateConfig(config([holder], 1));
  const path = join(cas.directory, "cas.key-store");
  const before = JSON.parse(readFileSync(path, "utf8")).recovery;
  await cas.client(owner).registerInstance("upgrade", registrationOf(cas));
  assert.deepEqual(JSON.parse(readFileSync(path, "utf8")).recovery, before, "a registration leaves them alone");
  await cas.client(owner).startUpgrade();
  const after = JSON.parse(readFileSync(path, "utf8")).recovery;
  assert.notEqual(after.shares[0].digest, before.shares[0].digest);
  await cas.client(owner).updateConfig(AUDIT);
  assert.equal(JSON.parse(readFileSync(path, "utf8")).recovery, undefined, "without holders there are no shares");
  assert.match(auditedLines(cas), /config_updated/);
});

test("C-79, C-80 a machine that was lost in the middle of a roll-over is recovered, whichever key the database has", async (t) => {
  const holder = createTestClient();
  const { cas, owner } = await startOwnedCas(t);
  await cas.client(owner).updateConfig(config([holder, createTestClient()], 1));
  await cas.client(owner).registerInstance("upgrade", registrationOf(cas));
  const former = await lost(cas, "former");
  await cas.restart();
  await cas.client(owner).startUpgrade();
  const following = await lost(cas, "following");
  const [before, after] = [former, following].map(({ databasePath }) => readFileSync(join(dirname(databasePath), "cas.key-store"), "utf8"));
  const { format: _, ...next } = JSON.parse(after ?? "");
  for (const [files, sealed] of [
    [former, before],
    [following, after],
  ] as const) {
    writeFileSync(join(dirname(files.databasePath), "cas.key-store"), JSON.stringify({ ...JSON.parse(before ?? ""), next }));
    const running = await recoverAlone(t, files, holder);
    assert.equal(running.casKeyHash, cas.running.casKeyHash);
    const left = JSON.parse(readFileSync(join(dirname(files.databasePath), "cas.key-store"), "utf8"));
    assert.deepEqual([left.next, left.recovery], [undefined, JSON.parse(sealed ?? "").recovery]);
  }
});

test("C-80 recovery keys that are none, stand twice, or are too few for the threshold are refused at their place (C-10)", () => {
  const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" });
  const pem = p384.publicKey.export({ type: "spki", format: "pem" }).toString();
  const holder = createTestClient();
  for (const [text, says] of [
    [config([holder], 2), /recovery\.threshold: more than there are keys/],
    [config([holder, holder], 1), /recovery\.keys: a key stands twice/],
    [config([{ ...holder, certificate: pem }], 1), /recovery\.keys.*: a recovery key is a P-256 key/],
    [config([{ ...holder, certificate: holder.privateKey }], 1), /a private key: list the public one/],
    [config([{ ...holder, certificate: "none\n" }], 1), /no PEM public key or certificate/],
    ["[recovery]\nkeys = []\nthreshold = 1\n", /recovery\.keys/],
  ] as const) {
    assert.throws(() => parseOwnerConfig(text, "f"), { code: "CONFIGURATION", message: says });
  }
});

test("C-79, C-80 holders do not help software of a lower security version, nor a machine that can open the database by itself", async (t) => {
  const { cas, owner } = await startOwnedCas(t, { software: { version: "2", securityVersion: 2 } });
  await cas.client(owner).updateConfig(config([createTestClient()], 1));
  const backup = await startWaitingCas(t, { software: { version: "2", securityVersion: 2 } });
  await cas.client(owner).registerInstance("backup", registrationOf(backup));
  await cas.stop();
  await backup.stop();
  const older = { version: "1", securityVersion: 1 };
  await assert.rejects(cas.restart({ software: older }), { code: "KEY_STORE", message: /security version 2; this software has 1/ });
  const path = carryDatabase(cas.directory, backup, "taken-over");
  await backup.restart({ databasePath: path, platformKeyPath: platformKeyOf(backup), anchorPath: join(dirname(path), "anchor") });
  assert.equal((await backup.client().version()).state, "rollback-suspected");
});
