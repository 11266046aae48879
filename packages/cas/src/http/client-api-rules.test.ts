import assert from "node:assert/strict";
import { createHash, createPublicKey, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { calculateSessionHash, keyHashOf, parseSession } from "@vouchsafe/policy";
import { Problem, verifyAnswer } from "@vouchsafe/protocol";
import { problem } from "../testing/policies.ts";
import { type RawAnswer, rawRequest } from "../testing/raw-request.ts";
import { createTestClient, startTestCas, type TestClient } from "../testing/test-cas.ts";

const HEAD = 'version: "0.3"\n';

test("C-19 a client is the hash of its key: another certificate of the same key is the same client, the same names on another key are not", async (t) => {
  const cas = await startTestCas(t);
  const ann = createTestClient();
  const { publicKey } = new X509Certificate(ann.certificate);
  assert.equal(ann.keyHash, keyHashOf(createPublicKey(publicKey.export({ type: "spki", format: "pem" }))));
  await cas.client(ann).uploadSession(`${HEAD}name: s\naccess_policy: {read: [${ann.keyHash}]}\n`);
  const renewed: TestClient = { ...ann, certificate: createTestClient({ key: ann.privateKey }).certificate };
  assert.notEqual(renewed.certificate, ann.certificate);
  await cas.client(renewed).readSession("s");
  await assert.rejects(cas.client(createTestClient()).readSession("s"), problem("not_found"));
});

test("C-21 the kind of a public value says how to read it, and certificates say when they end and are renewed", async (t) => {
  const cas = await startTestCas(t);
  const secrets = [
    "{name: text, kind: ascii, value: hello, export_public: true}",
    '{name: bytes, kind: binary, value: "00ff", export_public: true}',
    "{name: key, kind: private-key}",
    "{name: public, kind: public-key, private_key: key, export_public: true}",
    "{name: ca, kind: x509-ca, private_key: key, valid_for: 30 days, export_public: true}",
    "{name: part, kind: config-fragment, value: {a: [1, two]}, export_public: true}",
  ];
  await cas.client(createTestClient()).uploadSession(`${HEAD}name: s\nsecrets:\n${secrets.map((line) => `  - ${line}\n`).join("")}`);
  const values = await cas.client().publicValues("s");
  const never = { expires: null, renew: null };
  assert.deepEqual(values.get("text"), { kind: "string", value: "hello", ...never });
  assert.deepEqual(values.get("bytes"), { kind: "binary", value: "00ff", ...never });
  assert.deepEqual(values.get("part"), { kind: "fragment", value: { a: [1, "two"] }, ...never });
  const found = values.get("public") ?? assert.fail();
  assert.equal(found.kind, "public-key");
  const ca = values.get("ca") ?? assert.fail();
  assert.equal(ca.kind, "x509");
  const certificate = new X509Certificate(String(ca.value));
  assert.equal(keyHashOf(createPublicKey(String(found.value))), keyHashOf(certificate.publicKey));
  const { expires, renew } = ca;
  assert.equal(new Date(expires ?? "").getTime(), certificate.validToDate.getTime());
  assert.match(renew ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
  assert.ok(new Date(renew ?? "") < new Date(expires ?? "") && new Date(renew ?? "") > new Date(), "renewed before it ends");
});

test("C-23 every error is a problem document with code, version, places, and the published list from general to specific", async (t) => {
  const cas = await startTestCas(t);
  const identity = createTestClient();
  const answer = await rawRequest(cas, "/v1/sessions", { method: "POST", identity, body: `${HEAD}name: s\nnmae: x\nservices: 3\n` });
  assert.equal(answer.status, 422);
  assert.match(answer.headers["content-type"] ?? "", /^application\/problem\+json/);
  const said = Problem.parse(JSON.parse(answer.body));
  assert.equal(said.code, "invalid_session");
  assert.equal(said.type, "urn:vouchsafe:problem:invalid_session");
  assert.match(said.cas_version, /^\d+\.\d+\.\d+/);
  assert.ok(said.diagnostics.length >= 2, "every mistake at once");
  const unknown = said.diagnostics.find(({ path }) => path === "nmae") ?? assert.fail(JSON.stringify(said.diagnostics));
  assert.equal(unknown.rule, "SL-12");
  assert.deepEqual([unknown.line, unknown.column], [3, 1]);
  assert.ok(unknown.message !== "" && unknown.expected !== "");
  assert.deepEqual(said.msg.slice(0, 2), [said.title, said.detail]);
  for (const path of ["/v1/nothing", "/v1/sessions/none"]) {
    const missing = await rawRequest(cas, path);
    assert.equal(Problem.parse(JSON.parse(missing.body)).code, "not_found");
  }
});

test("C-25 a body of more than 1 MiB is refused, and a client that uploads or fails too often waits, while others do not", async (t) => {
  let now = new Date();
  const cas = await startTestCas(t, {
    now: () => now,
    uploadLimit: { perMinute: 60, burst: 2 },
    failureLimit: { perMinute: 60, burst: 2 },
  });
  const [ann, bob] = [createTestClient(), createTestClient()];
  const big = await rawRequest(cas, "/v1/sessions", { method: "POST", identity: bob, body: "x".repeat(1024 * 1024 + 1) });
  assert.equal(big.status, 413);
  assert.equal(Problem.parse(JSON.parse(big.body)).code, "too_large");
  const upload = (identity: TestClient, name: string) =>
    rawRequest(cas, "/v1/sessions", { method: "POST", identity, body: `${HEAD}name: ${name}\n` });
  const assertWaits = (answer: RawAnswer, what: RegExp) => {
    assert.equal(answer.status, 429);
    const said = Problem.parse(JSON.parse(answer.body));
    assert.equal(said.code, "too_many");
    assert.match(said.detail, what);
    assert.equal(Number(answer.headers["retry-after"]), said.retry_after);
    assert.ok(said.retry_after === 1);
  };
  for (const name of ["a", "b"]) assert.equal((await upload(ann, name)).status, 201);
  assertWaits(await upload(ann, "c"), /more than 60 uploads in a minute/);
  assert.equal((await upload(bob, "d")).status, 201);
  now = new Date(now.getTime() + 1000);
  assert.equal((await upload(ann, "c")).status, 201);

  const mallory = createTestClient();
  const configure = () => rawRequest(cas, "/v1/config", { method: "PUT", identity: mallory, body: "x" });
  for (let count = 0; count < 2; count += 1) assert.equal((await configure()).status, 403);
  assertWaits(await configure(), /more than 60 failed authentications in a minute/);
  assertWaits(await rawRequest(cas, "/v1/version", { identity: mallory }), /failed/);
  assert.equal((await rawRequest(cas, "/v1/health/live", { identity: mallory })).status, 200, "a CAS never looks dead for it");
  assert.equal((await rawRequest(cas, "/v1/version", { identity: ann })).status, 200);
  assert.equal((await rawRequest(cas, "/v1/version")).status, 200);
  now = new Date(now.getTime() + 1000);
  assert.equal((await configure()).status, 403);
});

test("C-26 reading gives what was uploaded, normalised, with its creator, under the same hash; explicit values are there, generated ones never", async (t) => {
  const cas = await startTestCas(t);
  const ann = createTestClient();
  const otp = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
  const uploaded = `# a comment\n${HEAD}name: s
security: {service_access_token: an-access-token-of-some-length, attestation: {mode: none}}
services: [{name: api, command: "a b", pwd: /, one_time_password_shared_secret: ${otp}}]
secrets:
  - {name: given, kind: ascii, value: explicit-value}
  - {name: made, kind: binary, size: 16, export_public: true}
`;
  const { hash } = await cas.client(ann).uploadSession(uploaded);
  const read = await cas.client(ann).readSession("s");
  assert.equal(read.hash, hash);
  const again = parseSession(read.text);
  assert.ok(again.session !== undefined, JSON.stringify(again.diagnostics));
  assert.equal(calculateSessionHash(read.text).output, `${hash}\n`);
  assert.equal(again.session.creator?.keyHash, ann.keyHash);
  for (const shown of ["explicit-value", "an-access-token-of-some-length", otp]) assert.ok(read.text.includes(shown), shown);
  const made = await cas.client().publicValue("s", "made");
  assert.equal(read.text.includes(String(made.value)), false);
  assert.equal(read.text.includes("a comment"), false);
});

test("C-27 nothing deletes a session", async (t) => {
  const cas = await startTestCas(t);
  const identity = createTestClient();
  await cas.client(identity).uploadSession(`${HEAD}name: s\n`);
  for (const path of ["/v1/sessions/s", "/session/s", "/v1/sessions?namespace=s", "/v1/signed_sessions"]) {
    assert.equal((await rawRequest(cas, path, { method: "DELETE", identity })).status, 404, path);
  }
  await cas.client(identity).readSession("s");
});

test("C-28 with sign=1 an answer can be shown to others: every change of it, of its question or of its signer is found", async (t) => {
  const cas = await startTestCas(t);
  const identity = createTestClient();
  const { hash } = await cas
    .client(identity)
    .uploadSession(`${HEAD}name: s\nsecrets: [{name: v, kind: ascii, value: x, export_public: true}]\n`);
  const pin = { casKeyHash: cas.running.casKeyHash };
  const ask = async (target: string) => ({ method: "GET", target, ...(await rawRequest(cas, target, { identity })) });
  const plain = await ask("/v1/sessions/s");
  assert.equal(plain.headers["signature"], undefined);
  assert.throws(() => verifyAnswer(plain, pin), { code: "ANSWER_SIGNATURE" });
  for (const target of ["/v1/values/session=s?sign=1", "/v1/sessions/nothing?sign=1", "/v1/sessions/s?view=hash&sign=1"]) {
    assert.equal(verifyAnswer(await ask(target), pin).identity.casKeyHash, pin.casKeyHash, target);
  }
  const answer = await ask("/v1/sessions/s?sign=1");
  const { answeredAt } = verifyAnswer(answer, pin);
  assert.ok(Math.abs(answeredAt.getTime() - Date.now()) < 60_000);
  assert.equal(answer.headers["vouchsafe-session-hash"], hash);
  const altered = (headers: Record<string, string>, body = answer.body) => ({
    ...answer,
    body,
    headers: { ...answer.headers, ...headers },
  });
  const body = `${answer.body}#`;
  const digest = `sha-256=:${createHash("sha256").update(body).digest("base64")}:`;
  const later = (answer.headers["signature-input"] ?? "").replace(/created=(\d+)/, (_, at) => `created=${Number(at) + 1}`);
  const uncovered = (answer.headers["signature-input"] ?? "").replace(' "content-digest"', "");
  const changes = [
    altered({}, body),
    altered({ "content-digest": digest }, body),
    altered({ "vouchsafe-session-hash": "00".repeat(32) }),
    altered({ "signature-input": later }),
    altered({ "signature-input": uncovered }),
    altered({ "vouchsafe-signature-chain": ":AAAA:" }),
    altered({ signature: "cas=:AAAA:" }),
    { ...answer, target: "/v1/sessions/t?sign=1" },
    { ...answer, method: "POST" },
    { ...answer, status: 404 },
  ];
  for (const [at, change] of changes.entries())
    assert.throws(() => verifyAnswer(change, pin), { code: "ANSWER_SIGNATURE" }, `change ${at}`);
  assert.throws(() => verifyAnswer(answer, { casKeyHash: createTestClient().keyHash }), { code: "CAS_IDENTITY" });
  const other = await startTestCas(t);
  const theirs = await rawRequest(other, "/v1/version?sign=1");
  assert.throws(
    () =>
      verifyAnswer(
        { ...answer, headers: { ...answer.headers, "vouchsafe-signature-chain": theirs.headers["vouchsafe-signature-chain"] } },
        {},
      ),
    {
      code: "ANSWER_SIGNATURE",
    },
  );
});
