import assert from "node:assert/strict";
import { cpSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";
import { openApiDocument } from "../http/openapi.ts";
import { createTestClient, startTestCas } from "../testing/test-cas.ts";
import { SNAPSHOTS_KEPT } from "./snapshots.ts";

const session = (name: string) => `version: "0.3"\nname: ${name}\nsalt: ${"ab".repeat(16)}\n`;

test("metrics count requests and refusals, without names of sessions", async (t) => {
  const cas = await startTestCas(t, { metricsListen: { host: "127.0.0.1", port: 0 } });
  await cas.client(createTestClient()).uploadSession(session("hidden-name"));
  await assert.rejects(cas.attest("hidden-name/api"));
  const { host, port } = cas.running.metricsAddress ?? assert.fail();
  const text = await (await fetch(`http://${host}:${port}/metrics`)).text();
  assert.match(text, /vouchsafe_cas_attestations_total\{outcome="service_unknown"\} 1/);
  assert.match(text, /vouchsafe_cas_requests_total\{route="\/v1\/sessions",method="POST",status="201"\} 1/);
  assert.match(text, /vouchsafe_cas_sessions 1/);
  assert.equal(text.includes("hidden-name"), false);
});

test("C-77: a snapshot is a consistent pair that a CAS starts from, as an old state to be accepted", async (t) => {
  const owner = createTestClient();
  const cas = await startTestCas(t, { selfProvision: { config: "", owner: { keyHash: owner.keyHash, pem: owner.certificate } } });
  const snapshots = join(cas.directory, "snapshots");
  await cas.restart({ snapshots: { directory: snapshots, intervalMs: 3_600_000 } });
  await cas.client(owner).uploadSession(session("before"));
  const taken = (await cas.running.takeSnapshot()) ?? assert.fail();
  assert.deepEqual(readdirSync(taken).toSorted(), ["cas.db", "cas.key-store"]);
  await cas.client(owner).uploadSession(session("after"));
  await cas.stop();
  for (const name of readdirSync(cas.directory)) if (name.startsWith("cas.")) rmSync(join(cas.directory, name));
  mkdirSync(join(cas.directory, "kept"));
  for (const name of readdirSync(taken)) cpSync(join(taken, name), join(cas.directory, name));
  await cas.restart();
  const client = cas.client(owner);
  assert.equal((await client.version()).state, "rollback-suspected");
  await client.acceptRollback();
  await client.readSessionHash("before");
});

test("C-77: a CAS says when it took its newest snapshot, and keeps so many that they do not fill the disk", async (t) => {
  const cas = await startTestCas(t);
  const newestOf = async () => JSON.parse((await cas.client().attest("AAAA")).statement).newestSnapshot;
  assert.equal(await newestOf(), undefined);
  const directory = join(cas.directory, "snapshots");
  const snapshots = { directory, intervalMs: 3_600_000 };
  await cas.restart({ snapshots });
  assert.equal(await newestOf(), null);
  const older = Array.from({ length: SNAPSHOTS_KEPT + 3 }, (_, at) => `2020-01-01T00-00-${String(at).padStart(2, "0")}.000Z-${at}`);
  for (const name of [...older, "2020-01-01T00-00-00.000Z-0.part", "theirs"]) mkdirSync(join(directory, name), { recursive: true });
  await cas.restart({ snapshots });
  assert.equal(await newestOf(), "2020-01-01T00:00:26.000Z");
  const taken = (await cas.running.takeSnapshot()) ?? assert.fail();
  assert.match(basename(taken), new RegExp(`^${(await newestOf()).replaceAll(":", "-").replaceAll(".", "\\.")}`));
  const left = readdirSync(directory);
  assert.equal(left.length, SNAPSHOTS_KEPT + 2);
  for (const name of [older.at(-1) ?? "", basename(taken), "theirs"]) assert(left.includes(name), name);
  assert(!left.includes(older[0] ?? ""));
});

test("the OpenAPI document names every operation with its answers", () => {
  const { openapi, paths } = openApiDocument() as { openapi: string; paths: Record<string, Record<string, { responses: object }>> };
  assert.equal(openapi, "3.1.0");
  for (const path of ["/v1/sessions", "/v1/attest", "/v1/provision", "/v1/audit/checkpoints"]) assert.ok(paths[path], path);
  for (const operations of Object.values(paths))
    for (const { responses } of Object.values(operations)) assert.ok(Object.keys(responses).length >= 2);
});
