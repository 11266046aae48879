import assert from "node:assert/strict";
import { createServer as createTcpServer } from "node:net";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type AttestedService, generateInstanceKey, PROTOCOL_VERSION } from "@vouchsafe/protocol";
import { testPolicy } from "../testing/policies.ts";
import { AUDITED, auditedLines } from "../testing/said-aloud.ts";
import { createTestClient, startTestCas, type TestCas } from "../testing/test-cas.ts";

const OPEN = "{attestation: {mode: none}}";
const TAGS = ["11".repeat(16), "22".repeat(16), "33".repeat(16)] as const;
const DATA = { kind: "volume", name: "data" } as const;

const VOLUME = {
  service: "    image_name: i",
  rest: "volumes: [{name: data}]\nimages: [{name: i, volumes: [{name: data, path: /data}], provide_secrets: [shown]}]\nsecrets: [{name: shown, kind: ascii, value: for-the-program}, {name: hidden, kind: ascii, value: for-nobody}]",
};

test("C-42 a service gets arguments, variables, directory, files, volumes and the secrets that it can use, and no other secret", async (t) => {
  const cas = await startTestCas(t);
  const policy = `
version: "0.3"
name: shop
security: ${OPEN}
services:
  - name: api
    command: [python3, /app/api.py, "--pin=$$SCONE::pin$$", "@@1"]
    environment: {MODE: production, TOKEN: "$$SCONE::token$$", "@@REGION": ""}
    pwd: /app
    image_name: i
  - name: web
    command: [web, "$$SCONE::web$$"]
    pwd: /
secrets:
  - {name: pin, kind: ascii, value: pin-value}
  - {name: token, kind: ascii, value: token-value}
  - {name: file, kind: ascii, value: file-value}
  - {name: api, kind: ascii, value: api-value}
  - {name: web, kind: ascii, value: web-value}
  - {name: unused, kind: ascii, value: unused-value}
volumes: [{name: data}]
images:
  - name: i
    injection_files: [{path: /etc/app, content: "key=$$SCONE::file$$", permission: 0o440}]
    volumes: [{name: data, path: /data, update_policy: rollback_protected}]
    provide_secrets: [api]
`;
  await cas.client(createTestClient()).uploadSession(policy);
  const { configuration, connection } = await cas.attest("shop/api", { evidence: undefined });
  t.after(() => connection.close());
  assert.deepEqual(configuration.arguments, ["python3", "/app/api.py", "--pin=pin-value", ""]);
  assert.deepEqual(configuration.hostArguments, [{ at: 3, hostArgument: 1 }]);
  assert.deepEqual(configuration.environment, { MODE: "production", TOKEN: "token-value" });
  assert.deepEqual(configuration.hostVariables, ["REGION"]);
  assert.equal(configuration.workingDirectory, "/app");
  const [file] = configuration.files;
  assert.deepEqual(
    [file?.path, Buffer.from(file?.content ?? "", "base64").toString(), file?.permission],
    ["/etc/app", "key=file-value", 0o440],
  );
  const [volume] = configuration.volumes;
  assert.match(volume?.key ?? "", /^[0-9a-f]{64}$/);
  assert.deepEqual([volume?.name, volume?.path, volume?.tag, volume?.policy], ["data", "/data", null, "rollback_protected"]);
  assert.deepEqual(configuration.secretApi, ["api"]);
  const delivered = JSON.stringify(configuration);
  for (const value of ["web-value", "unused-value", "api-value"]) {
    assert.equal(delivered.includes(value) || delivered.includes(Buffer.from(value).toString("base64")), false, value);
  }
  assert.equal(Buffer.from((await connection.readSecret("api"))?.get("api") ?? []).toString(), "api-value");
});

test("C-43 the version that is current at the request is delivered and named by its hash; who runs already stays with its own", async (t) => {
  const cas = await startTestCas(t);
  const client = cas.client(createTestClient());
  const policy = (mode: string, more = "") =>
    testPolicy({ name: "shop", security: OPEN, service: `    environment: {MODE: ${mode}}`, rest: more });
  const first = await client.uploadSession(policy("one"));
  const running = await cas.attest("shop/api", { evidence: undefined });
  t.after(() => running.connection.close());
  const second = await client.uploadSession(policy("two", `predecessor: ${first.hash}`));
  await running.connection.ping();
  const started = await cas.attest("shop/api", { evidence: undefined });
  started.connection.close();
  const seen = ({ configuration }: AttestedService) => [configuration.sessionHash, configuration.environment["MODE"]];
  assert.deepEqual(seen(running), [first.hash, "one"]);
  assert.deepEqual(seen(started), [second.hash, "two"]);
});

test("C-45 after the delivery an instance gets no second one, and of the secrets only those of provide_secrets", async (t) => {
  const cas = await startTestCas(t);
  await cas.client(createTestClient()).uploadSession(testPolicy({ name: "shop", security: OPEN, ...VOLUME }));
  const { connection } = await cas.attest("shop/api", { evidence: undefined });
  t.after(() => connection.close());
  assert.equal(Buffer.from((await connection.readSecret("shown"))?.get("shown") ?? []).toString(), "for-the-program");
  assert.equal(await connection.readSecret("hidden"), undefined);
  assert.equal(await connection.readSecret("none"), undefined);
  const again = {
    type: "certify-key",
    version: PROTOCOL_VERSION,
    endorsementKey: "",
    attestationKey: "",
    endorsementCertificate: "",
  } as const;
  const answer = await connection.open(again as never, AbortSignal.timeout(30_000)); // a message that only an opening connection may send
  assert.equal(answer.type, "refusal");
  await connection.closed;
  await assert.rejects(connection.ping(), { code: "CONNECTION_LOST" });
});

test("C-46 a reconnection proves the same instance key, and goes on with the tags where it was", async (t) => {
  const cas = await startTestCas(t);
  const security = "{singleton_enclaves: true, attestation: {evidence: [node]}}";
  await cas.client(createTestClient()).uploadSession(testPolicy({ name: "shop", security, ...VOLUME }));
  const instanceKey = generateInstanceKey();
  const attest = (key: typeof instanceKey, reconnect: boolean) =>
    cas.attest("shop/api", { instanceKey: key, reconnect, evidence: async (userData) => cas.agent.evidence("shop/api", userData, {}, 1n) });
  const first = await attest(instanceKey, false);
  await first.connection.reportTag(DATA, null, TAGS[0]);
  await cas.restart();
  await assert.rejects(attest(generateInstanceKey(), true), /attested before/);
  const again = await attest(instanceKey, true);
  t.after(() => again.connection.close());
  assert.equal(again.configuration.volumes[0]?.tag, TAGS[0]);
  await assert.rejects(again.connection.reportTag(DATA, null, TAGS[1]), { code: "TAG_CONFLICT" });
  await again.connection.reportTag(DATA, TAGS[0], TAGS[1]);
  await again.connection.ping();
});

test("C-46 a CAS that is reached and says nothing is given up in time, as one that may answer later", async (t) => {
  const cas = await startTestCas(t);
  const sockets = new Set<{ destroy(): void }>();
  const silent = createTcpServer((socket) => void sockets.add(socket.on("error", () => {})));
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  const address = silent.address();
  const port = typeof address === "object" ? (address?.port ?? 0) : 0;
  await assert.rejects(cas.attest("shop/api", { port, timeoutMs: 300 }), { code: "CAS_UNREACHABLE" });
});

/** Waits for the entry of the log that tells of something the CAS notices by itself. */
async function entryOf(cas: TestCas, event: string, more: string): Promise<string> {
  for (;;) {
    const found = auditedLines(cas)
      .split("\n")
      .find((line) => line.includes(`"event":"${event}"`) && line.includes(more));
    if (found !== undefined) return found;
    await sleep(20);
  }
}

test("C-47 the exit of a program is recorded as it was reported; a lost connection counts as exit unknown", async (t) => {
  const cas = await startTestCas(t, { selfProvision: AUDITED });
  await cas.client(createTestClient()).uploadSession(testPolicy({ name: "shop", security: OPEN }));
  const attest = async () => (await cas.attest("shop/api", { evidence: undefined })).connection;
  const [exited, killed, lost] = [await attest(), await attest(), await attest()];
  await exited.reportExit(7, null);
  exited.close();
  await killed.reportExit(null, "SIGKILL");
  killed.close();
  lost.close();
  const service = '"service":"shop/api"';
  await entryOf(cas, "service_exited", `${service},"code":7,"signal":null`);
  await entryOf(cas, "service_exited", `${service},"code":null,"signal":"SIGKILL"`);
  await entryOf(cas, "service_exited", `${service},"exit":"unknown"`);
  await cas.stop();
  assert.equal(auditedLines(cas).match(/"service_exited"/g)?.length, 3, "each once");
});
