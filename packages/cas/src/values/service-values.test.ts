import assert from "node:assert/strict";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { generateInstanceKey } from "@vouchsafe/protocol";
import { problem, TEST_CODE, testPolicy } from "../testing/policies.ts";
import { AUDITED, auditedLines, saidAloud } from "../testing/said-aloud.ts";
import { createTestClient, startTestCas } from "../testing/test-cas.ts";

const SECOND = `  - {name: web, command: x, pwd: /, attestation: {mrenclave: [${TEST_CODE}]}, environment: {S: "$$SCONE::shared$$", V: "$$SCONE::ofservice$$", I: "$$SCONE::own:hex$$"}}`;

test("extension scope: one value for the session, one for each service, one for each instance", async (t) => {
  const cas = await startTestCas(t);
  const client = cas.client(createTestClient());
  const policy = (more = "") =>
    testPolicy({
      name: "shop",
      service: `    environment: {S: "$$SCONE::shared$$", V: "$$SCONE::ofservice$$", I: "$$SCONE::own:hex$$"}\n${SECOND}`,
      rest: `secrets: [{name: shared, kind: ascii}, {name: ofservice, kind: ascii, scope: service}, {name: own, kind: binary, scope: instance}]\n${more}`,
    });
  const { hash } = await client.uploadSession(policy());
  const start = async (service: string, key = generateInstanceKey()) => {
    const { configuration, connection } = await cas.attest(`shop/${service}`, { instanceKey: key });
    connection.close();
    return configuration.environment;
  };
  const [api, again, web] = [await start("api"), await start("api"), await start("web")];
  assert.equal(api["S"], web["S"]);
  assert.equal(api["V"], again["V"]);
  assert.notEqual(api["V"], web["V"]);
  assert.equal(new Set([api["I"], again["I"], web["I"]]).size, 3);
  await client.uploadSession(policy(`predecessor: ${hash}\nsalt: 00112233445566778899aabbccddeeff`));
  await cas.restart();
  const later = await start("api");
  assert.deepEqual([later["S"], later["V"]], [api["S"], api["V"]], "kept over update and restart");
});

test("extension scope: a certificate for each instance, under the session's CA, in its names the instance's id; renewed while it runs, never stored", async (t) => {
  let now = new Date();
  t.mock.timers.enable({ apis: ["setInterval"] });
  const cas = await startTestCas(t, { now: () => now, selfProvision: AUDITED });
  await cas.client(createTestClient()).uploadSession(
    testPolicy({
      name: "shop",
      service: '    image_name: i\n    environment: {ID: "$$SCONE::self::instance_id$$"}',
      rest: `secrets:
  - {name: ca_key, kind: private-key, migrate: true}
  - {name: ca, kind: x509-ca, private_key: ca_key}
  - {name: key, kind: private-key, scope: instance}
  - {name: crt, kind: x509, scope: instance, private_key: key, issuer: ca, valid_for: 1h, san: ["dns:$$SCONE::self::instance_id$$.workers.example", "uri:spiffe://example.org/w/$$SCONE::self::instance_id$$"]}
images: [{name: i, injection_files: [{path: /crt, content: "$$SCONE::crt$$"}, {path: /key, content: "$$SCONE::crt:privatekey$$"}, {path: /ca, content: "$$SCONE::ca$$"}]}]`,
    }),
  );
  const start = () => cas.attest("shop/api");
  const filesOf = (files: readonly { path: string; content: string | null }[]) =>
    new Map(files.map(({ path, content }) => [path, Buffer.from(content ?? "", "base64").toString()]));
  const [first, second] = [await start(), await start()];
  const [one, two] = [filesOf(first.configuration.files), filesOf(second.configuration.files)];
  const id = first.configuration.environment["ID"] ?? assert.fail();
  const certificate = new X509Certificate(one.get("/crt") ?? "");
  assert.match(id, /^[0-9a-f]{32}$/);
  assert.equal(certificate.subjectAltName, `DNS:${id}.workers.example, URI:spiffe://example.org/w/${id}`);
  assert.ok(certificate.verify(new X509Certificate(one.get("/ca") ?? "").publicKey));
  assert.notEqual(one.get("/key"), two.get("/key"));
  assert.notEqual(second.configuration.environment["ID"], id);

  const renewed = new Promise<readonly { path: string; content: string }[]>((resolve) =>
    first.connection.onRenewal(({ files }) => resolve(files)),
  );
  now = new Date(now.getTime() + 45 * 60_000);
  t.mock.timers.tick(30_000);
  const files = filesOf(await renewed);
  assert.deepEqual([...files.keys()], ["/crt"], "the key stays");
  assert.notEqual(new X509Certificate(files.get("/crt") ?? "").serialNumber, certificate.serialNumber);
  first.connection.close();
  second.connection.close();
  await cas.stop();
  assert.equal(saidAloud(cas).includes((one.get("/key") ?? "").slice(40, 90)), false);
  assert.equal(auditedLines(cas).includes("PRIVATE KEY"), false);
});

test("extension self: an identity without declaring anything, below a CA that appears on first use and stays", async (t) => {
  const cas = await startTestCas(t);
  const client = cas.client(createTestClient());
  const policy = (identity: boolean, predecessor = "") =>
    testPolicy({
      name: "team/shop",
      service: identity
        ? '    environment: {C: "$$SCONE::self::certificate$$", K: "$$SCONE::self::private_key$$", A: "$$SCONE::self::ca$$", I: "$$SCONE::self::instance_id$$", H: "$$SCONE::self::certificate:chain$$"}'
        : "",
      rest: predecessor === "" ? "" : `predecessor: ${predecessor}`,
    });
  await client.uploadSession('version: "0.3"\nname: team\n');
  const created = await client.uploadSession(policy(false));
  const used = await client.uploadSession(policy(true, created.hash));
  const start = async () => {
    const { configuration, connection } = await cas.attest("team/shop/api");
    connection.close();
    return configuration.environment;
  };
  const first = await start();
  const certificate = new X509Certificate(first["C"] ?? "");
  assert.ok(certificate.checkPrivateKey(createPrivateKey(first["K"] ?? "")));
  assert.ok(certificate.verify(new X509Certificate(first["A"] ?? "").publicKey));
  assert.equal(first["H"], first["A"]);
  assert.equal(certificate.subjectAltName, `DNS:api, URI:vouchsafe://team/shop/api/${first["I"]}`);
  assert.deepEqual(certificate.keyUsage, ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
  const without = await client.uploadSession(policy(false, used.hash));
  await client.uploadSession(policy(true, without.hash));
  await cas.restart();
  const later = await start();
  assert.equal(later["A"], first["A"], "whoever trusts the CA goes on trusting it");
  assert.notEqual(later["K"], first["K"]);
  await assert.rejects(
    cas
      .client(createTestClient())
      .uploadSession(testPolicy({ name: "bad", service: '    environment: {K: "$$SCONE::self::ca:privatekey$$"}' })),
    problem("invalid_session", /stays in the CAS/),
  );
});
