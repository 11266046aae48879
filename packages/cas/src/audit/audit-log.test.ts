import assert from "node:assert/strict";
import { readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { CasStatement } from "@vouchsafe/protocol";
import { problem } from "../testing/policies.ts";
import { createTestClient, startTestCas } from "../testing/test-cas.ts";
import { startLogServer } from "../testing/test-log-server.ts";
import { type LogExit, type LogExpectations, provenLogKeys, verifyAuditLog } from "./verify-audit-log.ts";

const session = (name: string) => `version: "0.3"\nname: ${name}\nsecrets: [{name: canary, kind: ascii, value: SECRET-CANARY}]\n`;
const CONFIG = '[audit_log]\nmode = "signed"\n';

/** The log begins with a checkpoint: its first entry comes after that. */
const firstSequence = (lines: readonly string[]): number =>
  Number(/^\{"sequence":(\d+),/.exec(lines.find((line) => line.startsWith('{"sequence"')) ?? "")?.[1]);

test("C-81 to C-89: a signed log is verified, and each way to change it has its exit code", async (t) => {
  const owner = createTestClient();
  const cas = await startTestCas(t, { selfProvision: { config: CONFIG, owner: { keyHash: owner.keyHash, pem: owner.certificate } } });
  const client = cas.client(owner);
  await Promise.all(["a", "b", "c", "d"].map((name) => client.uploadSession(session(name))));
  await client.readSession("a");
  await assert.rejects(cas.attest("a/api"));
  const { latest, checkpoints, keys } = await client.auditCheckpoints(1, 1000);
  assert.ok(latest !== null);
  const text = readFileSync(join(cas.directory, "audit", "cas_audit.log"), "utf8");
  assert.equal(text.includes("SECRET-CANARY"), false, "C-86");
  const expected: LogExpectations = { casKeyHash: cas.running.casKeyHash, verifierKeys: keys, checkpoints };
  const lines = text.trimEnd().split("\n");
  const entryAt = (sequence: number) => lines.findIndex((line) => line.startsWith(`{"sequence":${sequence},`));
  const first = firstSequence(lines);
  const checkpointAt = (size: number) =>
    lines.findIndex((line) => line.startsWith('{"checkpoint"') && line.split("\\n")[1] === String(size));
  const changedFirst = lines.slice(0, checkpointAt(first)).map((line) => line.replace("audit_log_enabled", "audit_log_enabler"));
  const known = { ...expected, predecessor: first - 1 };
  const verify = (changed: readonly string[], more: Partial<LogExpectations> = {}) =>
    verifyAuditLog(`${changed.join("\n")}\n`, { ...known, ...more });
  const events = verify(lines).entries.map(({ event }) => event);
  for (const event of ["audit_log_enabled", "cas_started", "session_created", "session_read", "attestation_refused"])
    assert.ok(events.includes(event), event);
  assert.ok(events.indexOf("session_read") > events.indexOf("session_created"));

  const root = CasStatement.parse(JSON.parse((await client.attest("n")).statement)).chain[2] ?? assert.fail();
  assert.deepEqual(provenLogKeys(text, root), keys, "C-87: the log names its key, proven by the CAS key");
  assert.deepEqual(provenLogKeys(text, createTestClient().certificate), []);

  const cases: readonly { readonly what: string; readonly exit: LogExit; readonly found: ReturnType<typeof verify> }[] = [
    { what: "no JSON", exit: 20, found: verify([...lines, "x"]) },
    { what: "no CAS to ask", exit: 16, found: verify(lines, { checkpoints: undefined }) },
    { what: "another CAS", exit: 19, found: verify(lines, { casKeyHash: createTestClient().keyHash }) },
    { what: "an entry removed", exit: 17, found: verify(lines.filter((_, at) => at !== entryAt(first + 3))) },
    { what: "the first entries removed", exit: 15, found: verify(lines.slice(checkpointAt(first))) },
    { what: "the first entries removed, no checkpoint left before the others", exit: 16, found: verify(lines.slice(entryAt(first + 2))) },
    {
      what: "an entry changed",
      exit: 18,
      found: verify(lines.map((line, at) => (at === entryAt(first + 3) ? line.replace("session_", "session-") : line))),
    },
    {
      what: "an entry changed, no CAS to ask",
      exit: 20,
      found: verify([...changedFirst, ...lines.slice(checkpointAt(first))], { checkpoints: undefined }),
    },
    {
      what: "another edge",
      exit: 20,
      found: verify(lines.map((line) => line.replace(/"edge":\["[^"]*"/, `"edge":["${"A".repeat(43)}="`))),
    },
    { what: "an edge of other length", exit: 20, found: verify(lines.map((line) => line.replace(/"edge":\["[^"]*",?/, '"edge":['))) },
    { what: "the newest entries removed", exit: 14, found: verify(lines.slice(0, -1)) },
    {
      what: "more entries than the CAS has",
      exit: 18,
      found: verify([...lines, (lines.at(-1) ?? "").replace(/"sequence":(\d+)/, (_, n) => `"sequence":${Number(n) + 1}`)]),
    },
    { what: "two versions of two entries", exit: 18, found: verify([...lines, ...lines.slice(-2)]) },
  ];
  for (const { what, exit, found } of cases) assert.equal(found.exit, exit, `${what}: ${found.reasons.join("; ")}`);
});

test("C-81: a log from its first entry on is complete and correct, a single uncommitted entry is no roll-back, a change is one", async (t) => {
  const cas = await startTestCas(t, { selfProvision: undefined });
  const owner = createTestClient();
  const client = cas.client(owner);
  await client.provision(cas.running.provisioningToken ?? assert.fail(), CONFIG);
  await client.uploadSession(session("a"));
  await cas.stop();
  await cas.restart();
  const asking = cas.client(owner);
  const { checkpoints, keys } = await asking.auditCheckpoints(1, 1000);
  const path = join(cas.directory, "audit", "cas_audit.log");
  const enabled = readFileSync(path, "utf8").trimEnd().split("\n");
  const first = firstSequence(enabled);
  // The entries before the owner switched the log on are in the database only: put them in front.
  await cas.stop();
  const database = new DatabaseSync(join(cas.directory, "cas.db"), { readOnly: true });
  const before = database.prepare("SELECT entry FROM log WHERE position < ? ORDER BY position").all(first - 1);
  database.close();
  const size = Number(checkpoints.at(-1)?.split("\n")[1]);
  const all = [...before.map(({ entry }) => String(entry)), ...enabled].filter(
    (line) => !line.startsWith('{"sequence"') || JSON.parse(line).sequence <= size,
  );
  const lines = all.filter((line) => line.startsWith('{"sequence"') || Number(JSON.parse(line).checkpoint.split("\n")[1]) <= size);
  const expected = { casKeyHash: cas.running.casKeyHash, verifierKeys: keys, checkpoints };
  const verify = (changed: readonly string[]) => verifyAuditLog(changed.join("\n"), expected);
  const clean = verify(lines);
  assert.deepEqual([clean.exit, clean.reasons], [0, []]);
  const at = lines.findLastIndex((line) => line.startsWith('{"sequence"'));
  const lost = (lines[at] ?? "").replace(/"time":"[^"]+"/, '"time":"2026-01-01T00:00:00.000Z"');
  assert.equal(verify(lines.toSpliced(at, 0, lost)).exit, 10, "the version that was not committed stands before the other");
  const changed = lines.map((line) => line.replace('"session":"a"', '"session":"b"'));
  assert.ok([18, 20].includes(verify(changed).exit));
});

test("C-83, C-88: a log is rotated by moving its file away; each file begins and ends with a checkpoint, and verifies alone", async (t) => {
  const owner = createTestClient();
  const cas = await startTestCas(t, { selfProvision: { config: CONFIG, owner: { keyHash: owner.keyHash, pem: owner.certificate } } });
  const client = cas.client(owner);
  const path = join(cas.directory, "audit", "cas_audit.log");
  await client.uploadSession(session("a"));
  renameSync(path, `${path}.1`);
  await client.uploadSession(session("b"));
  await client.uploadSession(session("c"));
  const { checkpoints, keys } = await client.auditCheckpoints(1, 1000);
  const [older, newer] = [`${path}.1`, path].map((file) => readFileSync(file, "utf8"));
  const lines = newer?.trimEnd().split("\n") ?? [];
  assert.match(lines[0] ?? "", /^\{"checkpoint"/);
  assert.match(older?.trimEnd().split("\n").at(-1) ?? "", /^\{"checkpoint"/);
  const last = firstSequence(lines) - 1;
  const expected = { casKeyHash: cas.running.casKeyHash, verifierKeys: keys, checkpoints };
  const verify = (text: string, more: Partial<LogExpectations>) => verifyAuditLog(text, { ...expected, ...more });
  const predecessor = firstSequence(older?.split("\n") ?? []) - 1;
  assert.deepEqual(verify(older ?? "", { predecessor, last }).reasons, []);
  assert.deepEqual(verify(newer ?? "", { predecessor: last }).reasons, []);
  const alone = verify(older ?? "", { predecessor, last, checkpoints: undefined });
  assert.deepEqual([alone.exit, alone.reasons.length], [16, 1], "only that the CAS was not asked");
  assert.equal(verify((newer ?? "").replace('"session":"b"', '"session":"x"'), { predecessor: last }).exit, 18);
});

test("C-11: while the log server does not answer, nothing changes; a configuration that needs it is refused", async (t) => {
  const log = await startLogServer(t);
  const { config, received } = log;
  const owner = createTestClient();
  const cas = await startTestCas(t, { selfProvision: { config: "", owner: { keyHash: owner.keyHash, pem: owner.certificate } } });
  const client = cas.client(owner);
  log.status = 503;
  await assert.rejects(client.updateConfig(config), problem("audit_unavailable"));
  await client.uploadSession(session("a"));
  log.status = 204;
  await client.updateConfig(config);
  assert.match(received.join(""), /audit_log_enabled/);
  await client.uploadSession(session("b"));
  assert.match(received.join(""), /session_created/);
  log.status = 500;
  await assert.rejects(client.uploadSession(session("c")), problem("audit_unavailable", /nothing was changed/));
  log.status = 204;
  await assert.rejects(client.readSession("c"), problem("not_found"));
});

test("C-11, C-12: nobody becomes the owner with a configuration whose log server does not answer; the token stays good", async (t) => {
  const log = await startLogServer(t);
  const cas = await startTestCas(t, { selfProvision: undefined });
  const client = cas.client(createTestClient());
  const token = cas.running.provisioningToken ?? assert.fail();
  log.status = 503;
  await assert.rejects(client.provision(token, log.config), problem("audit_unavailable"));
  assert.equal((await client.version()).state, "unprovisioned");
  log.status = 204;
  await client.provision(token, log.config);
  assert.match(log.received.join(""), /"event":"provisioned"/);
});
