import assert from "node:assert/strict";
import { test } from "node:test";
import { testPolicy } from "../testing/policies.ts";
import { createTestClient, startTestCas } from "../testing/test-cas.ts";

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
