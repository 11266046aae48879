import assert from "node:assert/strict";
import { test } from "node:test";
import { testPolicy } from "../testing/policies.ts";
import { AUDITED, auditedLines } from "../testing/said-aloud.ts";
import { createTestClient, startTestCas, type TestCas } from "../testing/test-cas.ts";

const TAGS = ["11".repeat(16), "22".repeat(16), "33".repeat(16)] as const;
const OPEN = "{attestation: {mode: none}}";

function policyWithVolume(name: string, updatePolicy: string, volume = "{name: data}"): string {
  const service = `    image_name: i`;
  const rest = `volumes: [${volume}]\nimages:\n  - {name: i, volumes: [{name: data, path: /data, update_policy: ${updatePolicy}}]}`;
  return testPolicy({ name, service, rest, security: OPEN });
}

test("C-51, C-52, C-53, C-54: tags are compared and swapped; of two initialising instances the first wins; nobody reports for what he was not given", async (t) => {
  const cas = await startTestCas(t);
  await cas.client(createTestClient()).uploadSession(policyWithVolume("shop", "rollback_protected"));
  const attest = async () => {
    const attested = await cas.attest("shop/api", { evidence: undefined });
    t.after(() => attested.connection.close());
    return attested;
  };
  const [first, second] = [await attest(), await attest()];
  assert.equal(first.configuration.volumes[0]?.tag, null);
  const data = { kind: "volume", name: "data" } as const;
  await first.connection.reportTag(data, null, TAGS[0]);
  await assert.rejects(second.connection.reportTag(data, null, TAGS[1]), { code: "TAG_CONFLICT" });
  await first.connection.reportTag(data, TAGS[0], TAGS[1]);
  await assert.rejects(first.connection.reportTag(data, TAGS[0], TAGS[2]), { code: "TAG_CONFLICT" });
  await assert.rejects(first.connection.reportTag({ kind: "volume", name: "other" }, null, TAGS[0]), /no volume other/);
  await assert.rejects(first.connection.reportTag({ kind: "file-system" }, null, TAGS[0]), /no protected file system/);
  await cas.restart();
  const third = await attest();
  assert.equal(third.configuration.volumes[0]?.tag, TAGS[1], "durable");
  assert.equal(third.configuration.volumes[0]?.key, first.configuration.volumes[0]?.key);
});

test("C-51: without rollback protection any tag is stored, ephemeral ones are dropped", async (t) => {
  const cas = await startTestCas(t);
  const client = cas.client(createTestClient());
  await client.uploadSession(policyWithVolume("loose", "no_rollback_protection"));
  await client.uploadSession(policyWithVolume("brief", "ephemeral"));
  for (const [name, expected] of [
    ["loose", TAGS[1]],
    ["brief", null],
  ] as const) {
    const { connection } = await cas.attest(`${name}/api`, { evidence: undefined });
    await connection.reportTag({ kind: "volume", name: "data" }, TAGS[2], TAGS[1]);
    await connection.reportExit(0, null);
    connection.close();
    const again = await cas.attest(`${name}/api`, { evidence: undefined });
    again.connection.close();
    assert.equal(again.configuration.volumes[0]?.tag, expected, name);
  }
});

test("SL-162 to SL-165: a volume is shared with the session that its owner names, by its alias, within the owner's policy", async (t) => {
  const cas = await startTestCas(t);
  const client = cas.client(createTestClient());
  const owner = "{name: data, export: [{to: {session: guest}, update_policy: rollback_protected, volume_alias: shared}]}";
  await client.uploadSession(policyWithVolume("host", "rollback_protected", owner));
  const guest = (volume: string) => `{name: data, import: {session: host, volume: ${volume}}}`;
  const { hash } = await client.uploadSession(policyWithVolume("guest", "rollback_protected", guest("shared")));
  const attest = async (id: string) => {
    const { configuration, connection } = await cas.attest(id, { evidence: undefined });
    connection.close();
    return configuration.volumes[0];
  };
  assert.equal((await attest("guest/api"))?.key, (await attest("host/api"))?.key);
  const refused = (volume: string, policy: string, predecessor: string) =>
    client.uploadSession(
      policyWithVolume("guest", policy, guest(volume)).replace("name: guest", `name: guest\npredecessor: ${predecessor}`),
    );
  const byName = await refused("data", "rollback_protected", hash);
  await assert.rejects(attest("guest/api"), /does not export data to guest/);
  await refused("shared", "no_rollback_protection", byName.hash);
  await assert.rejects(attest("guest/api"), /allows rollback_protected/);
});

const auditedTags = (cas: TestCas): readonly unknown[] =>
  auditedLines(cas)
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))
    .filter(({ event }) => event.endsWith("_tag_updated"))
    .map(({ event, data }) => [event, data.service, data.target]);

test("C-51, C-52, C-86: the tag of a service's file system is compared and swapped from the one that its session states, and is nowhere on record", async (t) => {
  const cas = await startTestCas(t, { selfProvision: AUDITED });
  const client = cas.client(createTestClient());
  const [path, key] = ["fspf_path: /f.pb", `fspf_key: ${"5a".repeat(32)}`];
  const policy = (name: string, ...more: readonly string[]) =>
    testPolicy({ name, security: OPEN, service: [path, key, ...more].map((line) => `    ${line}`).join("\n") });
  await client.uploadSession(policy("kept", `fspf_tag: ${TAGS[0]}`));
  await client.uploadSession(policy("loose", "fspf_update_policy: no_rollback_protection"));
  const attest = async (name: string) => {
    const attested = await cas.attest(`${name}/api`, { evidence: undefined });
    t.after(() => attested.connection.close());
    return attested;
  };
  const files = { kind: "file-system" } as const;
  const { connection, configuration } = await attest("kept");
  assert.deepEqual([configuration.fileSystem?.tag, configuration.fileSystem?.currentTag], [TAGS[0], null]);
  await assert.rejects(connection.reportTag(files, null, TAGS[1]), {
    code: "TAG_CONFLICT",
    message: /file system of kept\/api is in another state/,
  });
  await connection.reportTag(files, TAGS[2], TAGS[0]); // what it is already
  assert.deepEqual(auditedTags(cas), []);
  await connection.reportTag(files, TAGS[0], TAGS[1]);
  assert.equal((await attest("kept")).configuration.fileSystem?.currentTag, TAGS[1]);
  const loose = await attest("loose");
  await loose.connection.reportTag(files, TAGS[0], TAGS[2]);
  assert.equal((await attest("loose")).configuration.fileSystem?.currentTag, TAGS[2]);
  assert.deepEqual(auditedTags(cas), [
    ["service_fspf_tag_updated", "kept/api", "file system of kept/api"],
    ["service_fspf_tag_updated", "loose/api", "file system of loose/api"],
  ]);
  for (const tag of TAGS) assert.equal(auditedLines(cas).includes(tag), false);
});

test("C-52: a volume whose state the session states starts from it", async (t) => {
  const cas = await startTestCas(t, { selfProvision: AUDITED });
  const volume = `{name: data, fspf_key: ${"5a".repeat(32)}, fspf_tag: ${TAGS[0]}}`;
  await cas.client(createTestClient()).uploadSession(policyWithVolume("shop", "rollback_protected", volume));
  const { connection, configuration } = await cas.attest("shop/api", { evidence: undefined });
  t.after(() => connection.close());
  assert.equal(configuration.volumes[0]?.tag, TAGS[0]);
  const data = { kind: "volume", name: "data" } as const;
  await assert.rejects(connection.reportTag(data, null, TAGS[1]), { code: "TAG_CONFLICT" });
  await connection.reportTag(data, TAGS[0], TAGS[1]);
  assert.deepEqual(auditedTags(cas), [["volume_fspf_tag_updated", "shop/api", "volume data of shop"]]);
});

test("C-53: an instance reports for what its own version of the session gives it, as long as there is that version", async (t) => {
  const cas = await startTestCas(t);
  const client = cas.client(createTestClient());
  const { hash } = await client.uploadSession(policyWithVolume("shop", "rollback_protected"));
  const attest = async () => {
    const { connection } = await cas.attest("shop/api", { evidence: undefined });
    t.after(() => connection.close());
    return connection;
  };
  const former = await attest();
  await client.uploadSession(testPolicy({ name: "shop", security: OPEN, rest: `predecessor: ${hash}` }));
  const data = { kind: "volume", name: "data" } as const;
  await assert.rejects((await attest()).reportTag(data, null, TAGS[0]), { code: "TAG_CONFLICT", message: /no volume data/ });
  await former.reportTag(data, null, TAGS[0]);
  await former.reportTag(data, TAGS[0], TAGS[1]);
});
