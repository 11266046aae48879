import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { formatCasAddress } from "@vouchsafe/protocol";
import { findOwnPlatform } from "../../../../cas/src/identity/own-platform.ts";
import { createTestClient, startTestCas } from "../../../../cas/src/testing/test-cas.ts";
import { commandLine } from "../../testing/command-line.ts";

/** A CAS with simulated evidence of a TDX guest whose signed log holds evidence over its key. */
async function attestedLog(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-log-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, "audit.log");
  const owner = createTestClient();
  const cas = await startTestCas(t, {
    auditLogPath: file,
    ownPlatform: findOwnPlatform({ simulated: { directory, kind: "tdx" } }, []),
    selfProvision: { config: '[audit_log]\nmode = "signed"', owner: { keyHash: owner.keyHash, pem: owner.certificate } },
  });
  const isAttested = () => /"audit_log_attestation_report"[^\n]*\n\{"checkpoint"/.test(readFileSync(file, "utf8"));
  for (let tries = 0; !isAttested() && tries < 600; tries++) await sleep(100);
  const identity = join(directory, "owner.pem");
  writeFileSync(identity, owner.privateKey + owner.certificate);
  const root = ["--only_for_testing-simulated-root", join(directory, "root.pem")];
  /** Another file with the log as `change` makes it. */
  const changed = (change: (text: string) => string) => {
    const other = join(directory, "changed.log");
    writeFileSync(other, change(readFileSync(file, "utf8")));
    return other;
  };
  return { cas, file, root, identity, changed };
}

test("C-87, C-89 an audit log is verified by the evidence over its key: no CAS has to answer, and none to be known", async (t) => {
  const { cas, file, root, identity, changed } = await attestedLog(t);
  const { run } = commandLine(t);
  const attest = (log: string, ...more: string[]) => run("cas", "attest-audit-log", log, ...more, "--predecessor", "2");

  const distrusted = await attest(file);
  assert.equal(distrusted.code, 19, distrusted.notes);
  assert.match(distrusted.notes, /entry \d+: the evidence of kind simulated proves nothing/);
  const unnamed = await attest(file, ...root);
  assert.equal(unnamed.code, 19, unnamed.notes);
  const [, measurement = assert.fail(unnamed.notes)] = /help: .*accept it with: --mrenclave ([0-9a-f]{64})\.$/m.exec(unnamed.notes) ?? [];

  const accepted = [...root, "--mrenclave", measurement];
  const alone = await attest(file, "-p", ...accepted);
  assert.equal(alone.code, 16, alone.notes);
  assert.match(alone.notes, /entry \d+ of \S+: evidence of kind simulated \(tdx\): code identity [0-9a-f]{64}/);
  assert.ok(alone.notes.includes(`log of the CAS with the key ${cas.running.casKeyHash}`), alone.notes);
  assert.match(alone.notes, /a roll-back cannot be excluded/);
  assert.doesNotMatch(alone.notes, /nobody signed/);
  assert.match(alone.out, /^\d+ \S+ audit_log_attestation_report /m);

  const address = formatCasAddress(cas.running.clientAddress);
  assert.equal((await run("cas", "attest", address, "--name", "it", ...accepted)).code, 0);
  const compared = ["--cas", "it", "--identity", identity];
  assert.equal((await attest(file, ...accepted, ...compared)).code, 0);
  const known = await run("cas", "verify-audit-log", file, ...compared, "--predecessor", "2");
  assert.equal(known.code, 0, known.notes);

  const refused = async (code: number, says: RegExp, change: (text: string) => string, ...more: string[]) => {
    const { code: found, notes } = await attest(changed(change), ...accepted, ...more);
    assert.match(notes, says);
    assert.equal(found, code, notes);
  };
  await refused(19, /the log belongs to another CAS/, (text) => text, "-c", "0".repeat(43));
  const otherKey = (text: string) => text.replace(/(\\"signing_key\\":\\")[0-9a-f]{4}/, "$10000");
  await refused(20, /does not cover this key of the log/, otherKey);
  const unattested = (text: string) => text.slice(0, text.lastIndexOf("\n", text.indexOf("audit_log_attestation_report")) + 1);
  await refused(19, /holds no evidence over its key/, unattested);
  await refused(20, /do not lead to the checkpoint/, (text) => text.replace("cas_started", "cas_exited"));
  await refused(20, /line 2 is neither an entry nor a checkpoint/, (text) => text.replace("\n", "\n{}\n"));
});
