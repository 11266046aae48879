import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject, randomBytes, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { addSessionSignature, encodeSignedSession, encryptSession, signSession } from "@vouchsafe/policy";
import { problem, testPolicy } from "../testing/policies.ts";
import { createTestClient, startTestCas } from "../testing/test-cas.ts";

const HEAD = 'version: "0.3"\n';
const pem = (key: KeyObject) => key.export({ type: "spki", format: "pem" }).toString();

test("C-29: create checks the document, the name, the parent, and the parent's permission", async (t) => {
  const cas = await startTestCas(t);
  const [ann, bob] = [createTestClient(), createTestClient()];
  const client = cas.client(ann);
  await assert.rejects(client.uploadSession("version: 0.3\nnmae: x\n"), problem("invalid_session", /SL-12/));
  await assert.rejects(cas.client().uploadSession(`${HEAD}name: x\n`), problem("unauthenticated"));
  await assert.rejects(client.uploadSession(`${HEAD}name: a/b\n`), problem("namespace_missing", /namespace a/));
  const parent = await client.uploadSession(`${HEAD}name: a\n`);
  await assert.rejects(cas.client(bob).uploadSession(`${HEAD}name: a/b\n`), problem("forbidden"));
  await assert.rejects(client.uploadSession(`${HEAD}name: a/b\nnamespace_hash: ${"00".repeat(32)}\n`), problem("namespace_hash_mismatch"));
  await client.uploadSession(`${HEAD}name: a/b\nnamespace_hash: ${parent.hash}\n`);
  await assert.rejects(cas.client(bob).uploadSession(`${HEAD}name: a\n`), problem("exists", /expected a predecessor/));
  const listed = await client.listSessions("a");
  assert.deepEqual(
    listed.sessions.map(({ name }) => name),
    ["a/b"],
  );
  await assert.rejects(cas.client(bob).listSessions("a"), problem("not_found"));
});

test("C-30, hazard C1: of two concurrent updates one wins, the other is told", async (t) => {
  const cas = await startTestCas(t);
  const client = cas.client(createTestClient());
  const { hash } = await client.uploadSession(`${HEAD}name: s\nsalt: ${"ab".repeat(16)}\n`);
  const next = (marker: string) => `${HEAD}name: s\npredecessor: ${hash}\nsalt: ${marker.repeat(16)}\n`;
  const outcomes = await Promise.allSettled(["01", "02", "03", "04"].map((marker) => client.uploadSession(next(marker))));
  assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
  for (const outcome of outcomes) if (outcome.status === "rejected") problem("predecessor_mismatch", /its current hash is/)(outcome.reason);
  await assert.rejects(client.uploadSession(next("05")), problem("predecessor_mismatch"));
  await assert.rejects(cas.client(createTestClient()).uploadSession(next("06")), problem("forbidden"));
  const current = await cas.client().readSessionHash("s");
  assert.notEqual(current.hash, hash, "SL-49: with a salt the hash is public");
  assert.match((await client.readSession("s", hash)).text, /name: s/, "old versions stay readable");
});

test("SL-172: a session with update NONE never changes; the default root is sealed by the first session", async (t) => {
  const cas = await startTestCas(t);
  const client = cas.client(createTestClient());
  const { hash } = await client.uploadSession(`${HEAD}name: s\naccess_policy: {update: NONE, read: ANY}\n`);
  await assert.rejects(client.uploadSession(`${HEAD}name: s\npredecessor: ${hash}\n`), problem("immutable"));
  assert.match((await cas.client().readSession("s")).text, /name: s/, "read: ANY needs no certificate");
  await assert.rejects(client.uploadSession(`${HEAD}name: /\npredecessor: ${hash}\n`), problem("immutable", /sealed/));
});

test("SL-41: the root session can be claimed before any other session exists", async (t) => {
  const cas = await startTestCas(t);
  const [ann, bob] = [createTestClient(), createTestClient()];
  const { hash } = await cas.client(ann).readSessionHash("/");
  await cas.client(ann).uploadSession(`${HEAD}name: /\npredecessor: ${hash}\naccess_policy: {create_sessions: CREATOR, update: CREATOR}\n`);
  await assert.rejects(cas.client(bob).uploadSession(`${HEAD}name: s\n`), problem("forbidden"));
  await cas.client(ann).uploadSession(`${HEAD}name: s\n`);
});

test("C-22 the root that nobody owns lists to each client the sessions that it may read, page by page, and nothing to strangers", async (t) => {
  const cas = await startTestCas(t);
  const [ann, bob] = [cas.client(createTestClient()), cas.client(createTestClient())];
  for (const name of ["a", "c", "d"]) await ann.uploadSession(`${HEAD}name: ${name}\n`);
  await bob.uploadSession(`${HEAD}name: b\n`);
  await bob.uploadSession(`${HEAD}name: e\naccess_policy: {read: ANY}\n`);
  const names = async (client: typeof ann, page = {}) => (await client.listSessions("/", page)).sessions.map(({ name }) => name);
  assert.deepEqual(await names(ann), ["a", "c", "d", "e"]);
  assert.deepEqual(await names(bob), ["b", "e"]);
  const { sessions, next } = await ann.listSessions("/", { limit: 2 });
  assert.deepEqual([sessions.map(({ name }) => name), next], [["a", "c"], "c"]);
  assert.deepEqual(await names(ann, { after: "c", limit: 2 }), ["d", "e"]);
  await assert.rejects(cas.client().listSessions("/"), problem("forbidden"));
});

test("hazards C6, C11: signatures count once, over these bytes, for this CAS", async (t) => {
  const cas = await startTestCas(t);
  const [a, b] = [generateKeyPairSync("ed25519"), generateKeyPairSync("ec", { namedCurve: "P-384" })];
  const entries = [a, b]
    .map(({ publicKey }) => `    - signer: |\n          ${pem(publicKey).trimEnd().replaceAll("\n", "\n          ")}`)
    .join("\n");
  const rule = `access_policy:\n  read: NONE\n  update:\n  - require-all:\n${entries}\n`;
  const text = (more: string) => `${HEAD}name: board\nsalt: ${"ab".repeat(16)}\n${more}${rule}`;
  const client = cas.client();
  const { hash } = await client.uploadSignedSession(encodeSignedSession(signSession(text(""), a.privateKey)));
  const successor = text(`predecessor: ${hash}\nvolumes: [{name: v}]\n`);
  const once = signSession(successor, a.privateKey);
  await assert.rejects(client.uploadSignedSession(encodeSignedSession(once)), problem("quorum", /1 satisfied/));
  assert.throws(() => addSessionSignature(once, a.privateKey), { code: "SIGNER_TWICE" });
  const edited = encodeSignedSession(addSessionSignature(once, b.privateKey)).replace("name: v", "name: w");
  await assert.rejects(client.uploadSignedSession(edited), problem("bad_signature"));
  const full = encodeSignedSession(addSessionSignature(once, b.privateKey));
  const uploaded = await client.uploadSignedSession(full);
  assert.equal((await client.uploadSignedSession(full)).hash, uploaded.hash, "C-24: a repeated upload succeeds");
});

test("SL-194: an encrypted session opens only at the CAS it was made for", async (t) => {
  const [cas, other] = [await startTestCas(t), await startTestCas(t)];
  const key = generateKeyPairSync("ed25519").privateKey;
  const signed = encodeSignedSession(signSession(`${HEAD}name: hidden\nsalt: ${"cd".repeat(16)}\n`, key));
  const encrypted = encryptSession(signed, cas.running.sessionEncryptionKey, randomBytes(32));
  assert.equal(encrypted.includes("hidden"), false);
  await assert.rejects(other.client().uploadEncryptedSession(encrypted), problem("wrong_cas"));
  const { name } = await cas.client().uploadEncryptedSession(encrypted);
  assert.equal(name, "hidden");
});

test("SL-145, SL-146: secrets travel only where exporter and importer name each other", async (t) => {
  const cas = await startTestCas(t);
  const owner = cas.client(createTestClient());
  const exporter = (to: string) =>
    `${HEAD}name: db\nsecrets:\n  - {name: password, kind: ascii, export: {session: ${to}}}\n  - {name: own, kind: ascii}\n`;
  const importer = (name: string, secret: string) =>
    testPolicy({
      name,
      service: `    environment: {P: "$$SCONE::p$$"}`,
      rest: `secrets: [{name: p, import: {session: db, secret: ${secret}}}]`,
    });
  const uploaded = await owner.uploadSession(importer("shop", "password"));
  assert.match(uploaded.warnings.map(({ message }) => message).join(), /session db does not exist/);
  await assert.rejects(cas.attest("shop/api"), /session db does not exist/);
  const { hash } = await owner.uploadSession(exporter("shop"));
  const { configuration, connection } = await cas.attest("shop/api");
  connection.close();
  assert.equal(configuration.environment["P"]?.length, 20);
  await owner.uploadSession(importer("thief", "password"));
  await assert.rejects(cas.attest("thief/api"), /session db does not export password to thief/);
  await owner.uploadSession(importer("other", "own"));
  await assert.rejects(cas.attest("other/api"), /does not export own to other/);
  await owner.uploadSession(exporter("thief").replace("name: db\n", `name: db\npredecessor: ${hash}\n`));
  await assert.rejects(cas.attest("shop/api"), /does not export password to shop/, "hazard C4: a revoked export");
});

test("C-22, hazard C10: unknown session, unknown secret and private secret look alike", async (t) => {
  const cas = await startTestCas(t);
  await cas
    .client(createTestClient())
    .uploadSession(
      `${HEAD}name: s\nsecrets:\n  - {name: hidden, kind: ascii}\n  - {name: open, kind: binary, value: "00ff", export_public: true}\n`,
    );
  const anybody = cas.client();
  const says = /secret does not exist or is not visible to a public client/;
  await assert.rejects(anybody.publicValue("s", "hidden"), problem("not_found", says));
  await assert.rejects(anybody.publicValue("s", "nothing"), problem("not_found", says));
  await assert.rejects(anybody.publicValue("nothing", "open"), problem("not_found", says));
  assert.deepEqual(await anybody.publicValue("s", "open"), { kind: "binary", value: "00ff", expires: null, renew: null });
});

test("SL-135, §15: an update keeps values that the language keeps, and destroys the rest", async (t) => {
  const cas = await startTestCas(t);
  const client = cas.client(createTestClient());
  const text = (size: number, more = "") =>
    `${HEAD}name: s\n${more}secrets:\n  - {name: kept, kind: binary, size: 8, export_public: true}\n  - {name: rolled, kind: binary, size: ${size}, export_public: true}\n`;
  const { hash } = await client.uploadSession(text(8));
  const before = await client.publicValues("s");
  await client.uploadSession(text(9, `predecessor: ${hash}\n`));
  const after = await client.publicValues("s");
  assert.deepEqual(after.get("kept"), before.get("kept"));
  assert.notDeepEqual(after.get("rolled"), before.get("rolled"));
});

const NAMES = ["..", ".", "a//b", "a%2fb", "a%00b", "a/", "%2e%2e", "a\u00e4", "x".repeat(10_000)];
test("hazard C3, field/2026-08-unchecked-names: names that are none are refused at the edge, never normalised", async (t) => {
  const cas = await startTestCas(t);
  const client = cas.client(createTestClient());
  for (const name of NAMES) await assert.rejects(client.readSession(name), /not_found|no session|does not fit|status/, name.slice(0, 20));
});

test("SL-134: a certificate is issued again before it expires, and sent to the running instance", async (t) => {
  let now = new Date("2026-06-01T00:00:00Z");
  const cas = await startTestCas(t, { now: () => now });
  const rest = [
    "secrets:",
    "  - {name: key, kind: private-key}",
    "  - {name: cert, kind: x509, private_key: key, dns: api, valid_for: 3 days, export_public: true}",
  ].join("\n");
  const policy = testPolicy({ name: "shop", security: "{attestation: {mode: none}}", rest });
  await cas
    .client(createTestClient())
    .uploadSession(
      policy
        .replace("    pwd: /", "    pwd: /\n    image_name: i")
        .concat('images: [{name: i, injection_files: [{path: /c, content: "$$SCONE::cert$$"}]}]\n'),
    );
  const { configuration, connection } = await cas.attest("shop/api", { evidence: undefined });
  t.after(() => connection.close());
  const renewed = new Promise<string>((resolve) => connection.onRenewal(({ files }) => resolve(files[0]?.content ?? "")));
  now = new Date(now.getTime() + 2.1 * 86_400_000);
  const second = await cas.attest("shop/api", { evidence: undefined });
  second.connection.close();
  assert.notEqual(second.configuration.files[0]?.content, configuration.files[0]?.content);
  assert.equal(await renewed, second.configuration.files[0]?.content);
});

const CA_POLICY = (migrate: boolean, more = "") => `${HEAD}name: pki
${more}secrets:
  - {name: root_key, kind: private-key, migrate: ${migrate}}
  - {name: root, kind: x509-ca, private_key: root_key, common_name: Root}
  - {name: ca_key, kind: private-key, migrate: ${migrate}, export: {session: shop}}
  - {name: ca, kind: x509-ca, private_key: ca_key, issuer: root, common_name: Issuing CA, export: {session: shop}}
`;
const BELOW_POLICY = testPolicy({
  name: "shop",
  security: "{attestation: {mode: none}}",
  service: "    image_name: i",
  rest: [
    "secrets:",
    "  - {name: ca, kind: x509-ca, import: {session: pki}}",
    "  - {name: key, kind: private-key}",
    "  - {name: cert, kind: x509, private_key: key, issuer: ca, dns: api, valid_for: 3 days, export_public: true}",
    'images: [{name: i, injection_files: [{path: /c, content: "$$SCONE::cert$$$$SCONE::cert:chain$$"}]}]',
  ].join("\n"),
});

test("SL-104, SL-134, SL-149 a certificate below an imported CA is issued once for all, again when it is due, and again when the CA changes", async (t) => {
  let now = new Date("2026-06-01T00:00:00Z");
  const cas = await startTestCas(t, { now: () => now });
  const identity = createTestClient();
  const owner = cas.client(identity);
  const { hash } = await owner.uploadSession(CA_POLICY(false));
  await owner.uploadSession(BELOW_POLICY);
  const start = async () => {
    const { configuration, connection } = await cas.attest("shop/api", { evidence: undefined });
    const [leaf, issuer, root] = Buffer.from(configuration.files[0]?.content ?? "", "base64")
      .toString()
      .split(/(?<=-----END CERTIFICATE-----\n)/)
      .filter((part) => part !== "")
      .map((part) => new X509Certificate(part));
    assert(leaf !== undefined && issuer !== undefined && root !== undefined);
    assert.ok(leaf.verify(issuer.publicKey) && issuer.verify(root.publicKey) && root.verify(root.publicKey), "a chain of three");
    return { serial: leaf.serialNumber, issuer: issuer.fingerprint256, connection };
  };
  const all = await Promise.all([start(), start(), start(), start()]);
  for (const { connection } of all.slice(1)) connection.close();
  t.after(() => all[0]?.connection.close());
  assert.equal(new Set(all.map(({ serial }) => serial)).size, 1, "services that start together get one certificate");
  const shown = await cas.client().publicValue("shop", "cert");
  assert.equal(new X509Certificate(String(shown.value)).serialNumber, all[0]?.serial);
  await cas.restart();
  const again = await start();
  assert.equal(again.serial, all[0]?.serial, "a restart changes nothing");
  const renewed = new Promise<string>((resolve) => again.connection.onRenewal(({ files }) => resolve(files[0]?.content ?? "")));
  t.after(() => again.connection.close());
  now = new Date(now.getTime() + 2.1 * 86_400_000);
  const later = await start();
  later.connection.close();
  assert.notEqual(later.serial, again.serial);
  assert.equal(later.issuer, again.issuer);
  const [sent = ""] = Buffer.from(await renewed, "base64")
    .toString()
    .split(/(?<=-----END CERTIFICATE-----\n)/);
  assert.equal(new X509Certificate(sent).serialNumber, later.serial, "the running instance was sent the new one");
  await cas.client(identity).uploadSession(CA_POLICY(false, `predecessor: ${hash}\n`));
  const below = await start();
  below.connection.close();
  assert.notEqual(below.issuer, later.issuer, "the CA's key did not migrate, so there is a new CA and a new certificate below it");
  assert.notEqual(below.serial, later.serial);
});
