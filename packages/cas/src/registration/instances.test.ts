import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { problem } from "../testing/policies.ts";
import { AUDITED, auditedLines } from "../testing/said-aloud.ts";
import { createTestClient } from "../testing/test-cas.ts";
import { registrationOf, startOwnedCas, startWaitingCas } from "../testing/two-machines.ts";
import { CAS_SOFTWARE } from "../version.ts";

const sealedKeys = (directory: string): { recipient: string }[] => JSON.parse(readFileSync(join(directory, "cas.key-store"), "utf8")).keys;

test("C-73, C-74 the owner registers a CAS on another machine: attested, audited, listed, replaced, removed", async (t) => {
  const { cas, owner } = await startOwnedCas(t);
  const client = cas.client(owner);
  await client.updateConfig(AUDITED.config);
  const backup = await startWaitingCas(t);
  const request = { ...registrationOf(backup), name: "node-2" };
  await assert.rejects(cas.client(createTestClient()).registerInstance("backup", request), problem("forbidden", /owner/));
  await assert.rejects(cas.client().registerInstance("backup", request), problem("unauthenticated"));
  assert.deepEqual([sealedKeys(cas.directory).length, (await client.healthReport()).backups], [1, 0]);

  const registered = await client.registerInstance("backup", request);
  assert.deepEqual([registered.name, registered.version], ["node-2", CAS_SOFTWARE.version]);
  assert.deepEqual(
    sealedKeys(cas.directory).map(({ recipient }) => recipient),
    ["platform", "instance"],
  );
  const again = await client.registerInstance("backup", request);
  assert.deepEqual(await client.registeredInstances(), [again]);
  assert.equal((await client.healthReport()).backups, 1);
  assert.equal(
    auditedLines(cas)
      .split("\n")
      .filter((line) => line.includes('"backup_registered"')).length,
    2,
  );
  assert.match(auditedLines(cas), new RegExp(`"purpose":"backup","name":"node-2","instance":"${registered.instanceKey}"`));

  await assert.rejects(client.removeInstance("backup", "node-3"), problem("not_found", /node-3/));
  await client.removeInstance("backup", "node-2");
  assert.deepEqual([await client.registeredInstances(), sealedKeys(cas.directory).length], [[], 1]);
  assert.match(auditedLines(cas), /"backup_removed"/);
});

test("C-74 an instance that is not the one expected, or not as good as the primary, is refused by name", async (t) => {
  const { cas, owner } = await startOwnedCas(t, { software: { version: "2.0.0", securityVersion: 2 } });
  const client = cas.client(owner);
  const lower = await startWaitingCas(t, { software: { version: "1.9.0", securityVersion: 1 } });
  const gone = await startWaitingCas(t, { software: { version: "2.0.0", securityVersion: 2 } });
  const other = registrationOf(gone);
  const register = (request: Parameters<typeof client.registerInstance>[1], purpose: "backup" | "upgrade" = "backup") =>
    client.registerInstance(purpose, request);
  await assert.rejects(register({ address: other.address }), problem("not_attested", /no hardware proves who it is/));
  await assert.rejects(register({ ...other, casKeyHash: cas.running.casKeyHash }), problem("not_attested", /CAS key hash is .*, expected/));
  await assert.rejects(register({ ...other, address: "no host" }), problem("bad_request", /no address/));
  await assert.rejects(register(registrationOf(cas)), problem("not_attested", /a backup is on another machine/));
  for (const purpose of ["backup", "upgrade"] as const) {
    await assert.rejects(register(registrationOf(lower), purpose), problem("not_attested", /security version is 1, at least 2/));
  }
  await gone.stop();
  await assert.rejects(register(other), problem("unavailable", /cannot be reached/));
  assert.deepEqual([await client.registeredInstances(), sealedKeys(cas.directory).length], [[], 1]);
});

test("C-74 a registration that the key store lacks after a crash is sealed at the next start", async (t) => {
  const { cas, owner } = await startOwnedCas(t);
  const backup = await startWaitingCas(t);
  const before = readFileSync(join(cas.directory, "cas.key-store"));
  await cas.client(owner).registerInstance("backup", registrationOf(backup));
  await cas.stop();
  writeFileSync(join(cas.directory, "cas.key-store"), before);
  await cas.restart();
  assert.deepEqual(
    sealedKeys(cas.directory).map(({ recipient }) => recipient),
    ["platform", "instance"],
  );
});
