import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { encodeBase32 } from "@vouchsafe/policy";
import { testDirectory } from "../testing/cas-command.ts";
import { testPolicy } from "../testing/policies.ts";
import { disguises, saidAloud } from "../testing/said-aloud.ts";
import { createTestClient, startTestCas } from "../testing/test-cas.ts";
import { verifyAuditLog } from "./verify-audit-log.ts";

const CONFIG = '[audit_log]\nmode = "signed"\n';
const session = (name: string) => `version: "0.3"\nname: ${name}\n`;

test("hazard K4: two views of one CAS, shown to two clients, are found as soon as one checks the other's checkpoints", async (t) => {
  const owner = createTestClient();
  const selfProvision = { config: CONFIG, owner: { keyHash: owner.keyHash, pem: owner.certificate } };
  const first = await startTestCas(t, { selfProvision });
  await first.client(owner).uploadSession(session("common"));
  await first.stop();
  const copied = testDirectory(t);
  cpSync(first.directory, copied, { recursive: true });
  await first.restart();
  const databasePath = join(copied, "cas.db");
  const second = await startTestCas(t, { databasePath, platformKeyPath: join(copied, "platform", "key"), selfProvision });
  await first.client(owner).uploadSession(session("shown-to-ann"));
  await second.client(owner).uploadSession(session("shown-to-bob"));
  const [annSees, bobSees] = await Promise.all([first, second].map((cas) => cas.client(owner).auditCheckpoints(1, 1000)));
  assert(annSees !== undefined && bobSees !== undefined);
  assert.equal(annSees.origin, bobSees.origin, "both are the log of one CAS, properly signed");
  await first.stop();
  // The whole log, also what was written before the owner wanted a file of it; the last entry tells of the stop.
  using database = new DatabaseSync(join(first.directory, "cas.db"), { readOnly: true });
  const lines = database
    .prepare("SELECT entry FROM log ORDER BY position")
    .all()
    .map(({ entry }) => String(entry))
    .slice(0, -1);
  const verify = ({ checkpoints, keys }: typeof annSees) =>
    verifyAuditLog(lines.join("\n"), { casKeyHash: first.running.casKeyHash, verifierKeys: keys, checkpoints });
  const own = verify(annSees);
  assert.deepEqual([own.exit, own.reasons], [0, []]);
  const other = verify(bobSees);
  assert.equal(other.exit, 18, other.reasons.join("; "));
});

test("hazard K5: of secrets, tokens, passwords, arguments and files nothing is in log, console, metrics or on disk, however it is written", async (t) => {
  const canary = (name: string) => `canary-${name}-7f3a91c2d4e8`;
  const owner = createTestClient();
  const cas = await startTestCas(t, {
    selfProvision: { config: '[audit_log]\nmode = "unsigned"\n', owner: { keyHash: owner.keyHash, pem: owner.certificate } },
    metricsListen: { host: "127.0.0.1", port: 0 },
  });
  const client = cas.client(owner);
  const otp = Buffer.from(canary("otp"));
  const policy = testPolicy({
    name: "shop",
    security: `{service_access_token: ${canary("token")}, attestation: {evidence: [node]}}`,
    service: [
      `    environment: {VALUE: "${canary("variable")}", SECRET: "$$SCONE::given$$"}`,
      "    image_name: i",
      `    one_time_password_shared_secret: ${encodeBase32(otp)}`,
    ].join("\n"),
    rest: [
      `secrets: [{name: given, kind: ascii, value: ${canary("explicit")}}]`,
      `images: [{name: i, injection_files: [{path: /f, content: "${canary("file")}"}]}]`,
    ].join("\n"),
  }).replace("/app/api.py", canary("argument"));
  const { hash } = await client.uploadSession(policy);
  await client.readSession("shop");
  await assert.rejects(client.uploadSession(policy.replace("pwd: /", `pwd: /\n    ${canary("mistake")}: x`)));
  await client.uploadSession(policy.replace("name: shop", `name: shop\npredecessor: ${hash}`));
  for (const attempt of ["shop/api", "shop/api@000000", `shop/api@${canary("guess")}`]) {
    await assert.rejects(cas.attest(attempt, { accessToken: canary("guess") }));
  }
  const { host, port } = cas.running.metricsAddress ?? assert.fail();
  const metrics = await (await fetch(`http://${host}:${port}/metrics`)).text();
  await cas.stop();
  const said = `${saidAloud(cas)}\n${metrics}`;
  assert.ok(said.includes("session_created") && said.includes("attestation_refused"));
  for (const name of ["token", "variable", "explicit", "file", "argument", "otp", "guess", "mistake"]) {
    for (const form of disguises(canary(name))) assert.equal(said.includes(form), false, `${name} as ${form}`);
  }
});
