import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { decodeEvidence, verifyEvidence } from "@vouchsafe/attestation";
import { openDevelopmentPlatform } from "../development/development-platform.ts";
import { findOwnPlatform } from "../identity/own-platform.ts";
import { startTestCas } from "../testing/test-cas.ts";

test("C-87 the audit log has evidence over its signing key, and that is the key it is signed with", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-platform-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const auditLogPath = join(directory, "audit.log");
  await startTestCas(t, {
    auditLogPath,
    ownPlatform: findOwnPlatform({ simulated: { directory, kind: "tdx" } }, []),
    selfProvision: { config: '[audit_log]\nmode = "signed"' },
  });
  const entries = () =>
    readFileSync(auditLogPath, "utf8")
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  const find = (event: string) => entries().find((entry) => entry.event === event)?.data;
  for (let tries = 0; find("audit_log_attestation_report") === undefined && tries < 600; tries++) await sleep(100);
  const { report, evidence } = find("audit_log_attestation_report") ?? assert.fail("there is no such entry");
  const trustAnchors = { simulated: [openDevelopmentPlatform(directory, new Date()).root] };
  const { userData } = verifyEvidence(decodeEvidence(evidence), { now: new Date(), trustAnchors, collateral: {} });
  assert.deepEqual(Buffer.from(userData), createHash("sha512").update(report).digest());
  const [, key = ""] = /^\{"type":"CasAuditLogSigningKey", "signing_key":"([0-9a-f]{64})"\}$/.exec(report) ?? [];
  const [, , ...base64] = find("audit_log_enabled").verifierKey.split("+"); // base64 has plus signs of its own
  const noteKey = Buffer.from(base64.join("+"), "base64");
  assert.equal(noteKey.subarray(1).toString("hex"), key);
});
