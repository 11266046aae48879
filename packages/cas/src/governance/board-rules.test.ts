import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { once } from "node:events";
import { createServer, get } from "node:https";
import { test } from "node:test";
import { addSessionSignature, encodeSignedSession, keyHashOf, signSession } from "@vouchsafe/policy";
import { CasProblemError } from "@vouchsafe/protocol";
import { problem, testPolicy } from "../testing/policies.ts";
import { createTestClient, startTestCas } from "../testing/test-cas.ts";

const HEAD = 'version: "0.3"\n';
const pem = (key: KeyObject) => key.export({ type: "spki", format: "pem" }).toString();
const signer = (key: KeyObject, indent: string) => `${indent}- signer: |\n${pem(key).trimEnd().replace(/^/gm, `${indent}    `)}\n`;

test("C-61 a refusal shows the tree of the rule with what is satisfied and missing, without the keys; a rule in a fragment counts as it is now", async (t) => {
  const cas = await startTestCas(t);
  const [a, b, c, outsider] = Array.from({ length: 4 }, () => generateKeyPairSync("ed25519"));
  assert(a !== undefined && b !== undefined && c !== undefined && outsider !== undefined);
  const members = [a, b, c].map(({ publicKey }) => signer(publicKey, "    ")).join("");
  const policy = (more: string) =>
    `${HEAD}name: board\nsalt: ${"ab".repeat(16)}\n${more}access_policy:\n  read: NONE\n  update:\n  - require-at-least-2:\n${members}`;
  const client = cas.client();
  const { hash } = await client.uploadSignedSession(encodeSignedSession(signSession(policy(""), a.privateKey)));
  const successor = policy(`predecessor: ${hash}\nvolumes: [{name: v}]\n`);
  for (const [key, satisfied] of [
    [b, 1],
    [outsider, 0],
  ] as const) {
    await assert.rejects(client.uploadSignedSession(encodeSignedSession(signSession(successor, key.privateKey))), (error: unknown) => {
      problem("quorum", new RegExp(`at least 2 of 3 \\(${satisfied} satisfied\\): missing`))(error);
      assert(error instanceof CasProblemError);
      const said = JSON.stringify(error.problem);
      for (const { publicKey } of [a, b, c]) {
        assert.equal(said.includes(keyHashOf(publicKey)), false, "no key hash of a member");
        assert.equal(said.includes(pem(publicKey).split("\n")[1] ?? "?"), false, "no key of a member");
      }
      return true;
    });
  }

  const [ann, bob] = [createTestClient(), createTestClient()];
  const rule = (who: string, more = "") =>
    `${HEAD}name: rule\n${more}secrets: [{name: updaters, kind: config-fragment, value: ["${who}"], export: {session: doc}}]\n`;
  const first = await cas.client(ann).uploadSession(rule(ann.keyHash));
  const doc = (salt: string, more = "") =>
    `${HEAD}name: doc\nsalt: ${salt.repeat(16)}\n${more}secrets: [{name: updaters, kind: config-fragment, import: {session: rule}}]\naccess_policy: {read: ANY, update: "$$SCONE::updaters$$"}\n`;
  const created = await cas.client(ann).uploadSession(doc("01"));
  await assert.rejects(cas.client(bob).uploadSession(doc("02", `predecessor: ${created.hash}\n`)), problem("forbidden"));
  await cas.client(ann).uploadSession(rule(bob.keyHash, `predecessor: ${first.hash}\n`));
  await assert.rejects(cas.client(ann).uploadSession(doc("03", `predecessor: ${created.hash}\n`)), problem("forbidden"));
  await cas.client(bob).uploadSession(doc("02", `predecessor: ${created.hash}\n`));
});

test("C-62 a member of a board may be a program: an attested service signs with a key that only its own session holds", async (t) => {
  const cas = await startTestCas(t);
  const owner = cas.client(createTestClient());
  await owner.uploadSession(
    testPolicy({
      name: "checker",
      service: '    environment: {SIGNING_KEY: "$$SCONE::key$$"}',
      rest: "secrets:\n  - {name: key, kind: private-key, key_type: P-384}\n  - {name: public, kind: public-key, private_key: key, export_public: true}",
    }),
  );
  const published = createPublicKey(String((await cas.client().publicValue("checker", "public")).value));
  const author = generateKeyPairSync("ed25519");
  const members = signer(author.publicKey, "    ") + signer(published, "    ");
  const policy = (more: string) =>
    `${HEAD}name: guarded\nsalt: ${"ab".repeat(16)}\n${more}access_policy:\n  read: ANY\n  update:\n  - require-all:\n${members}`;
  const anybody = cas.client();
  const { hash } = await anybody.uploadSignedSession(encodeSignedSession(signSession(policy(""), author.privateKey)));
  const text = policy(`predecessor: ${hash}\nvolumes: [{name: v}]\n`);
  const byAuthor = signSession(text, author.privateKey);
  await assert.rejects(anybody.uploadSignedSession(encodeSignedSession(byAuthor)), problem("quorum"));
  // The program, once it is attested, checks the text and adds its signature.
  const { configuration, connection } = await cas.attest("checker/api");
  connection.close();
  const byProgram = addSessionSignature(byAuthor, createPrivateKey(configuration.environment["SIGNING_KEY"] ?? ""));
  const updated = await anybody.uploadSignedSession(encodeSignedSession(byProgram));
  assert.equal((await anybody.readSession("guarded")).hash, updated.hash);
});

test("C-72 users of an application need no attestation: the CA that the CAS publishes is all that they trust", async (t) => {
  const cas = await startTestCas(t);
  const rest = [
    "secrets:",
    "  - {name: ca_key, kind: private-key}",
    "  - {name: ca, kind: x509-ca, private_key: ca_key, common_name: Shop CA, export_public: true}",
    "  - {name: key, kind: private-key}",
    "  - {name: cert, kind: x509, private_key: key, issuer: ca, dns: shop.example, endpoint: server, valid_for: 10 days}",
    'images: [{name: i, injection_files: [{path: /cert, content: "$$SCONE::cert$$"}, {path: /key, content: "$$SCONE::key$$"}]}]',
  ].join("\n");
  await cas.client(createTestClient()).uploadSession(testPolicy({ name: "shop", service: "    image_name: i", rest }));
  const { configuration, connection } = await cas.attest("shop/api");
  connection.close();
  const [cert, key] = configuration.files.map(({ content }) => Buffer.from(content ?? "", "base64").toString());
  const server = createServer({ cert, key }, (_request, reply) => reply.end("served"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const port = typeof address === "object" ? address?.port : 0;
  const ask = (ca: string | undefined, servername: string) => {
    const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
    const trust = ca === undefined ? {} : { ca };
    get({ host: "127.0.0.1", port, servername, agent: false, ...trust }, (response) => resolve(response.resume().statusCode)).on(
      "error",
      reject,
    );
    return promise;
  };
  const ca = String((await cas.client().publicValue("shop", "ca")).value);
  assert.equal(await ask(ca, "shop.example"), 200);
  await assert.rejects(ask(ca, "other.example"), { code: "ERR_TLS_CERT_ALTNAME_INVALID" });
  await assert.rejects(ask(undefined, "shop.example"), /self-signed|unable to (get|verify)/i);
});
