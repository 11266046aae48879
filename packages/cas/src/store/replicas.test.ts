import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { encodeBase32, totp } from "@vouchsafe/policy";
import pg from "pg";
import { problem, refusal, testPolicy } from "../testing/policies.ts";
import { createTestClient, startTestCas } from "../testing/test-cas.ts";
import { startPostgres } from "../testing/test-postgres.ts";

const session = (name: string) => `version: "0.3"\nname: ${name}\nsalt: ${"ab".repeat(16)}\n`;

test("C-2, hazard E11: of two CAS on one database one is active; cut off from it, the first grants nothing more and the second has every change", async (t) => {
  const connection = await startPostgres(t);
  const now = new Date("2026-06-01T00:00:00Z");
  const secret = Buffer.alloc(20, 7);
  const first = await startTestCas(t, { postgres: { connection }, now: () => now });
  const shared = {
    postgres: { connection },
    databasePath: join(first.directory, "cas.db"),
    platformKeyPath: join(first.directory, "platform", "key"),
    now: () => now,
  };
  await assert.rejects(startTestCas(t, shared), { code: "STORE_LOCKED" });
  const owner = createTestClient();
  const names = Array.from({ length: 20 }, (_, at) => `s${at}`);
  await Promise.all(names.map((name) => first.client(owner).uploadSession(session(name))));
  const service = `    one_time_password_shared_secret: ${encodeBase32(secret)}`;
  await first.client(owner).uploadSession(testPolicy({ name: "shop", security: "{attestation: {mode: none}}", service }));
  const password = totp(secret, Math.floor(now.getTime() / 30_000));
  const attest = (cas: typeof first) => cas.attest(`shop/api@${password}`, { evidence: undefined });
  (await attest(first)).connection.close();

  // The server forgets the first one's connections, as it does when its network is gone.
  const admin = new pg.Client(connection);
  await admin.connect();
  await admin.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL");
  await admin.end();
  const second = await startTestCas(t, { ...shared, nodeKeys: [] });
  for (const name of names) await second.client(owner).readSessionHash(name);
  await assert.rejects(attest(second), refusal("password_used", "one-time-password"), "what was granted once is granted to nobody else");
  await second.client(owner).uploadSession(session("after"));

  const stale = first.client(owner);
  while (await stale.isReady()) await sleep(10);
  await assert.rejects(stale.uploadSession(session("lost")), problem("unavailable", /another CAS may work on it/));
  await assert.rejects(stale.readSession("shop"), problem("unavailable"), "it does not know what is current");
  await assert.rejects(attest(first), refusal("unavailable", undefined));
  await assert.rejects(second.client(owner).readSession("lost"), problem("not_found"));
  await second.client(owner).uploadSession(session("last"));
});
