import assert from "node:assert/strict";
import { appendFileSync, closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { attestService, type CasClient, type SessionUploaded } from "@vouchsafe/protocol";
import { verifyAuditLog } from "../audit/verify-audit-log.ts";
import { startCasCommand, testDirectory } from "../testing/cas-command.ts";
import { problem, testPolicy } from "../testing/policies.ts";
import { mountPrivately, type PrivateMount } from "../testing/private-mount.ts";
import { createTestClient } from "../testing/test-cas.ts";

const session = (name: string) => `version: "0.3"\nname: ${name}\nsecrets: [{name: a, kind: binary, size: 2048}]\n`;

/** Fills the file system to its last byte; returns how to free it again. */
function fill(mount: PrivateMount): () => void {
  const path = mount.asSeenHere(join(mount.path, "filler"));
  const file = openSync(path, "w");
  for (const block of [64 * 1024, 4096, 1]) {
    const bytes = Buffer.alloc(block, 0x20);
    try {
      while (writeSync(file, bytes) === block);
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, "ENOSPC");
    }
  }
  closeSync(file);
  return () => rmSync(path);
}

/** Uploads sessions until one is refused; returns those that were acknowledged. */
async function uploadUntilRefused(client: CasClient, prefix: string): Promise<{ done: Map<string, string>; error: unknown }> {
  const done = new Map<string, string>();
  for (let count = 0; count < 5000; count += 1) {
    try {
      const { name, hash }: SessionUploaded = await client.uploadSession(session(`${prefix}${count}`));
      done.set(name, hash);
    } catch (error) {
      return { done, error };
    }
  }
  return assert.fail("the disk never became full");
}

/** What one action's entry has no space for, the smaller entry of another may still have: so it is repeated until there is none for it either. */
async function untilRefused(action: () => Promise<unknown>): Promise<unknown> {
  for (let count = 0; count < 100; count += 1) {
    try {
      await action();
    } catch (error) {
      return error;
    }
  }
  return assert.fail("the log never became full");
}

test("hazard E3: on a full disk changes are refused and reads are served; when there is space again the CAS goes on without a restart", async (t) => {
  const mount = await mountPrivately(t, "size=3m");
  const state = join(mount.path, "state");
  const identity = createTestClient();
  const start = () =>
    startCasCommand(t, {
      options: ["--state", state, "--self-provision", "--skip-if-already-provisioned"],
      statusFile: join(state, "status"),
      wrapper: mount.wrapper,
      asSeenHere: mount.asSeenHere,
    });
  mkdirSync(mount.asSeenHere(state));
  const cas = await start();
  const client = cas.client(identity);
  await client.uploadSession(testPolicy({ name: "open", security: "{attestation: {mode: none}}" }));
  const free = fill(mount);
  const { done, error } = await uploadUntilRefused(client, "a");
  problem("unavailable", /cannot take the change, nothing was changed/)(error);
  await client.readSession("open");
  for (const [name, hash] of done) assert.equal((await client.readSession(name)).hash, hash);
  await assert.rejects(client.readSession(`a${done.size}`), problem("not_found"), "what was refused is not there");
  assert.equal(await client.isReady(), true);
  free();
  for (let count = 0; count < 5; count += 1) {
    const { name, hash } = await client.uploadSession(session(`b${count}`));
    done.set(name, hash);
  }
  await cas.end("SIGKILL");
  const again = await start();
  const reader = again.client(identity);
  for (const [name, hash] of done) assert.equal((await reader.readSession(name)).hash, hash, name);
  await assert.rejects(reader.readSession(`a${done.size - 5}`), problem("not_found"));
});

test("hazard E3, C-2: a database that can only be read is served with a warning, and refuses every change", async (t) => {
  const mount = await mountPrivately(t, "size=8m");
  const state = join(mount.path, "state");
  const keys = join(mount.path, "keys");
  const identity = createTestClient();
  for (const directory of [state, keys]) mkdirSync(mount.asSeenHere(directory));
  const command = (statusFile: string) => ({
    options: ["--state", state, "--self-provision", "--skip-if-already-provisioned", "--platform-key", join(keys, "key")],
    statusFile,
    wrapper: mount.wrapper,
    asSeenHere: mount.asSeenHere,
  });
  const cas = await startCasCommand(t, command(join(state, "status")));
  await cas.client(identity).uploadSession(session("kept"));
  await cas.end();
  mount.remount("ro");
  const statusFile = join(testDirectory(t), "status");
  const readOnly = await startCasCommand(t, { ...command(statusFile), asSeenHere: (path) => path });
  assert.match(readOnly.said(), /WARN the database can only be read/);
  const reader = readOnly.client(identity);
  await reader.readSession("kept");
  await assert.rejects(reader.uploadSession(session("late")), problem("unavailable"));
  await assert.rejects(reader.readSession("late"), problem("not_found"));
  await readOnly.end();
  mount.remount("rw");
  const writing = await startCasCommand(t, command(join(state, "status")));
  await writing.client(identity).uploadSession(session("late"));
});

test("hazard K3: with no space for the audit log nothing is granted, the reason is told, and the log stays whole and verifiable", async (t) => {
  const mount = await mountPrivately(t, "size=256k");
  const directory = testDirectory(t);
  const [config, ownerConfig, ownerCertificate] = ["cas.toml", "owner.toml", "owner.pem"].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  const logPath = join(mount.path, "cas_audit.log");
  const identity = createTestClient();
  writeFileSync(config, `[database]\npath = "${join(directory, "cas.db")}"\n[audit_log]\npath = "${logPath}"\n`);
  writeFileSync(ownerConfig, '[audit_log]\nmode = "signed"\n');
  writeFileSync(ownerCertificate, identity.certificate);
  const cas = await startCasCommand(t, {
    options: [
      ...["provision", "--config", config, "--platform-key", join(directory, "platform.key")],
      ...["--owner-config", ownerConfig, "--owner-identity", ownerCertificate],
    ],
    statusFile: join(directory, "status"),
    wrapper: mount.wrapper,
  });
  const client = cas.client(identity);
  const readLog = () => readFileSync(mount.asSeenHere(logPath), "utf8");
  await client.uploadSession(testPolicy({ name: "open", security: "{attestation: {mode: none}}" }));
  const attest = async () => {
    const { status } = cas;
    const options = { serviceId: "open/api", evidence: undefined, runtimeVersion: "test" };
    (await attestService({ ...status.service, casKeyHash: status.casKeyHash, ...options })).connection.close();
  };
  await attest();
  const free = fill(mount);
  const { error } = await uploadUntilRefused(client, "a");
  problem("audit_unavailable", /audit log cannot be written \(.*ENOSPC.*\); nothing was changed/)(error);
  assert.match(String(await untilRefused(attest)), /audit log/);
  // A reading that cannot be logged is none.
  problem("audit_unavailable")(await untilRefused(() => client.readSession("open")));
  assert.ok(readLog().endsWith("}\n"), "no half line");
  free();
  await client.uploadSession(session("after"));
  await attest();
  await cas.end();
  // What a power cut leaves of the last line is cut off at the next start.
  const whole = readLog();
  appendFileSync(mount.asSeenHere(logPath), '{"sequence":9');
  const again = await startCasCommand(t, {
    options: ["--config", config, "--platform-key", join(directory, "platform.key")],
    statusFile: join(directory, "status"),
    wrapper: mount.wrapper,
  });
  const { checkpoints, keys } = await again.client(identity).auditCheckpoints(1, 100_000);
  const text = readLog();
  assert.ok(text.startsWith(whole));
  const predecessor = Number(/"sequence":(\d+)/.exec(text)?.[1]) - 1; // the log begins with a checkpoint
  const verdict = verifyAuditLog(text, { casKeyHash: again.status.casKeyHash, verifierKeys: keys, checkpoints, predecessor });
  assert.deepEqual([verdict.exit, verdict.reasons], [0, []]);
});
