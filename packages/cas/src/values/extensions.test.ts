import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { refusal, TEST_CODE, testPolicy } from "../testing/policies.ts";
import { AUDITED, auditedLines } from "../testing/said-aloud.ts";
import { createTestClient, startTestCas, type TestCas } from "../testing/test-cas.ts";

async function filesOf(cas: TestCas, service: string): Promise<ReadonlyMap<string, string>> {
  const { configuration, connection } = await cas.attest(service, { evidence: undefined });
  connection.close();
  return new Map(configuration.files.map(({ path, content }) => [path, Buffer.from(content ?? "", "base64").toString("latin1")]));
}

const withFiles = (name: string, secrets: string, files: readonly string[], rest = "") =>
  testPolicy({
    name,
    security: "{attestation: {mode: none}}",
    service: "    image_name: i",
    rest: `secrets:\n${secrets}\nimages: [{name: i, injection_files: [${files.join(", ")}]}]\n${rest}`,
  });

test("extension rotate: a new value at the time, the one before it as :previous, running instances told, an entry in the log", async (t) => {
  let now = new Date();
  const cas = await startTestCas(t, { now: () => now, selfProvision: AUDITED });
  const files = [
    '{path: /p, content: "$$SCONE::pw$$ $$SCONE::pw:previous$$"}',
    '{path: /b, content: "$$SCONE::bytes:hex$$ $$SCONE::bytes:previous:hex$$"}',
  ];
  const secrets =
    "  - {name: pw, kind: ascii, rotate: {every: 10d, keep: 1}}\n  - {name: bytes, kind: binary, scope: service, rotate: {every: 10d}}";
  await cas.client(createTestClient()).uploadSession(withFiles("shop", secrets, files));
  const running = await cas.attest("shop/api", { evidence: undefined });
  const pushed = new Promise<number>((resolve) => running.connection.onRenewal((renewal) => resolve(renewal.files.length)));
  const split = async () => {
    const found = await filesOf(cas, "shop/api");
    return [...(found.get("/p") ?? "").split(" "), ...(found.get("/b") ?? "").split(" ")];
  };
  const [first = "", firstPrevious, bytes = ""] = await split();
  assert.equal(firstPrevious, first, "there is none before it yet");
  now = new Date(now.getTime() + 11 * 86_400_000);
  const [second = "", secondPrevious, secondBytes, bytesPrevious] = await split();
  assert.notEqual(second, first);
  assert.deepEqual([secondPrevious, bytesPrevious], [first, bytes]);
  assert.notEqual(secondBytes, bytes);
  assert.equal(await pushed, 2);
  running.connection.close();
  now = new Date(now.getTime() + 11 * 86_400_000);
  const [third, thirdPrevious] = await split();
  assert.deepEqual([thirdPrevious, third === second], [second, false]);
  assert.match(auditedLines(cas), /"secrets_rotated","data":\{"session":"shop","secrets":\["pw","bytes"\]\}/);
});

test("extension epoch: after an update old and new certificates verify below the same root, through another intermediate", async (t) => {
  const cas = await startTestCas(t);
  const client = cas.client(createTestClient());
  const secrets = `  - {name: rk, kind: private-key, migrate: true}
  - {name: root, kind: x509-ca, private_key: rk}
  - {name: ik, kind: private-key}
  - {name: epoch, kind: x509-ca, private_key: ik, issuer: root, epoch: on_update}
  - {name: k, kind: private-key}
  - {name: leaf, kind: x509, private_key: k, issuer: epoch, san: "dns:api"}`;
  const files = [
    '{path: /root, content: "$$SCONE::root$$"}',
    '{path: /epoch, content: "$$SCONE::epoch$$"}',
    '{path: /leaf, content: "$$SCONE::leaf$$"}',
  ];
  const { hash } = await client.uploadSession(withFiles("shop", secrets, files));
  const certificates = async () => {
    const found = await filesOf(cas, "shop/api");
    return ["/root", "/epoch", "/leaf"].map((path) => new X509Certificate(found.get(path) ?? ""));
  };
  const [oldRoot, oldEpoch, oldLeaf] = await certificates();
  await client.uploadSession(withFiles("shop", secrets, files, `predecessor: ${hash}`));
  const [newRoot, newEpoch, newLeaf] = await certificates();
  assert(oldRoot && oldEpoch && oldLeaf && newRoot && newEpoch && newLeaf);
  assert.ok(newRoot.publicKey.equals(oldRoot.publicKey));
  assert.equal(newEpoch.publicKey.equals(oldEpoch.publicKey), false);
  for (const [leaf, epoch] of [
    [oldLeaf, oldEpoch],
    [newLeaf, newEpoch],
  ] as const)
    assert.deepEqual([leaf.verify(epoch.publicKey), epoch.verify(oldRoot.publicKey), epoch.verify(newRoot.publicKey)], [true, true, true]);
});

test("extension x509: subject, usages, name constraints, path length, URIs and a fixed end arrive as OpenSSL reads them", async (t) => {
  const cas = await startTestCas(t);
  const secrets = `  - {name: ck, kind: private-key}
  - {name: ca, kind: x509-ca, private_key: ck, x509: {subject: {O: Example, C: DE}, max_path_len: 0, name_constraints: {permitted_dns: [shop.example]}, not_after: 2040-01-01T00:00:00Z}}
  - {name: k, kind: private-key}
  - {name: leaf, kind: x509, private_key: k, issuer: ca, san: "dns:a.shop.example", x509: {subject: {OU: Orders}, key_usage: [digitalSignature, keyAgreement], ext_key_usage: [serverAuth, codeSigning], uris: ["spiffe://shop.example/a"], not_after: 2039-06-01T12:00:00Z}}`;
  await cas
    .client(createTestClient())
    .uploadSession(
      withFiles("shop", secrets, [
        '{path: /ca, content: "$$SCONE::ca$$"}',
        '{path: /leaf, content: "$$SCONE::leaf$$"}',
        '{path: /key, content: "$$SCONE::leaf:privatekey$$"}',
      ]),
    );
  const found = await filesOf(cas, "shop/api");
  const shown = (path: string) => execFileSync("openssl", ["x509", "-noout", "-text"], { input: found.get(path) ?? "" }).toString();
  const [ca, leaf] = [shown("/ca"), shown("/leaf")];
  for (const says of [
    /Subject: C = DE, O = Example, CN = ca/,
    /CA:TRUE, pathlen:0/,
    /Permitted:\s+DNS:shop\.example/,
    /Not After : Jan {2}1 00:00:00 2040 GMT/,
  ])
    assert.match(ca, says);
  for (const says of [
    /Subject: OU = Orders, CN = a\.shop\.example/,
    /Digital Signature, Key Agreement/,
    /TLS Web Server Authentication, Code Signing/,
    /DNS:a\.shop\.example, URI:spiffe:\/\/shop\.example\/a/,
    /Not After : Jun {2}1 12:00:00 2039 GMT/,
  ])
    assert.match(leaf, says);
  assert.ok(new X509Certificate(found.get("/leaf") ?? "").checkPrivateKey(createPrivateKey(found.get("/key") ?? "")));
});

test("extension raw, content_base64: files arrive byte for byte, placeholders in them are text", async (t) => {
  const cas = await startTestCas(t);
  const bytes = Buffer.from([0, 255, 36, 36, 10, 128]);
  const files = [
    '{path: /raw, raw: true, content: "a $$SCONE::pw$$ b"}',
    `{path: /bytes, content_base64: "${bytes.toString("base64")}", permission: 0o400}`,
  ];
  await cas.client(createTestClient()).uploadSession(withFiles("shop", "  - {name: pw, kind: ascii}", files));
  const found = await filesOf(cas, "shop/api");
  assert.equal(found.get("/raw"), "a $$SCONE::pw$$ b");
  assert.equal(found.get("/bytes"), bytes.toString("latin1"));
});

test("extension security of a service: asks for more than the session, and keeps the evidence kinds that it does not name", async (t) => {
  const cas = await startTestCas(t);
  const token = "token-of-more-than-sixteen-characters";
  await cas.client(createTestClient()).uploadSession(
    testPolicy({
      name: "shop",
      rest: `  - {name: web, command: x, pwd: /, attestation: {mrenclave: [${TEST_CODE}]}, security: {service_access_token: ${token}, singleton_enclaves: true}}\n`,
    }),
  );
  (await cas.attest("shop/api")).connection.close();
  await assert.rejects(cas.attest("shop/web"), refusal("token_missing", "access-token"));
  (await cas.attest("shop/web", { accessToken: token })).connection.close();
});
