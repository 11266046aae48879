import assert from "node:assert/strict";
import { randomBytes, X509Certificate } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { keyHashOf } from "@vouchsafe/policy";
import { CasStatement } from "@vouchsafe/protocol";
import { problem } from "../testing/policies.ts";
import { createTestClient, startTestCas, type TestCas } from "../testing/test-cas.ts";

const CONFIG = "[api_identity]\ncommon_name = 'cas.example.org'\n";

const tokenOf = (cas: TestCas): string => cas.running.provisioningToken ?? assert.fail("the CAS has no token");
const tokensShown = (cas: TestCas): string[] =>
  cas.lines.flatMap((line) => /CAS provisioning token: ([0-9a-f]{32})$/.exec(line)?.[1] ?? []);
const statementOf = async (cas: TestCas) => CasStatement.parse(JSON.parse((await cas.client().attest("n")).statement));

test("C-7 CAS and software key are P-256 CAs with a subject key identifier that end on 4096-01-01; the TLS certificate below has the owner's names", async (t) => {
  const owner = createTestClient();
  const cas = await startTestCas(t, { selfProvision: { config: `${CONFIG}alt_names = ['cas.example.org', '10.0.0.7']\n` } });
  const [leaf, software, root] = (await statementOf(cas)).chain.map((pem) => new X509Certificate(pem));
  assert(leaf !== undefined && software !== undefined && root !== undefined);
  for (const [certificate, name] of [
    [root, "cas"],
    [software, "cas-instance"],
  ] as const) {
    assert.equal(certificate.subject, `CN=${name}`);
    assert.equal(certificate.publicKey.asymmetricKeyDetails?.namedCurve, "prime256v1");
    assert.equal(certificate.ca, true);
    assert.equal(certificate.validToDate.toISOString(), "4096-01-01T00:00:00.000Z");
    const der = Buffer.from(certificate.raw).toString("hex");
    assert.ok(der.includes("0603551d130101ff"), "basicConstraints is critical");
    assert.ok(der.includes("0603551d0e"), "subject key identifier");
  }
  assert.ok(root.verify(root.publicKey) && software.verify(root.publicKey) && leaf.verify(software.publicKey));
  assert.equal(keyHashOf(root.publicKey), cas.running.casKeyHash);
  assert.equal(leaf.publicKey.asymmetricKeyDetails?.namedCurve, "prime256v1");
  assert.equal(leaf.subject, "CN=cas.example.org");
  assert.match(leaf.subjectAltName ?? "", /DNS:cas\.example\.org/);
  assert.match(leaf.subjectAltName ?? "", /IP Address:10\.0\.0\.7/);
  await assert.rejects(cas.client(owner).updateConfig(CONFIG), problem("forbidden"));
});

test("C-12, C-14, field/2026-07-repeatable-bootstrap: the token makes an owner, together with configuration and certificate; a second time is an error with the owner's key hash", async (t) => {
  const cas = await startTestCas(t, { selfProvision: undefined });
  const [owner, other] = [createTestClient(), createTestClient()];
  const before = await statementOf(cas);
  assert.deepEqual([before.state, before.ownerKeyHash], ["unprovisioned", null]);
  await assert.rejects(cas.client().provision(tokenOf(cas), CONFIG), problem("unauthenticated"));
  const { ownerKeyHash, chain } = await cas.client(owner).provision(tokenOf(cas), CONFIG);
  assert.equal(ownerKeyHash, owner.keyHash);
  assert.equal(new X509Certificate(chain[0] ?? "").subject, "CN=cas.example.org");
  const after = await statementOf(cas);
  assert.deepEqual([after.state, after.ownerKeyHash, after.selfProvisioned], ["provisioned", owner.keyHash, false]);
  await assert.rejects(cas.client(other).provision(tokenOf(cas), ""), problem("provisioned", new RegExp(owner.keyHash)));
  await cas.restart();
  assert.equal(cas.running.provisioningToken, undefined);
  await assert.rejects(cas.client(other).provision("0".repeat(32), ""), problem("provisioned", new RegExp(owner.keyHash)));
});

test("C-13 a token is 16 random bytes, counts once, and dies with the tenth wrong try, when a new one is shown", async (t) => {
  const cas = await startTestCas(t, { selfProvision: undefined });
  const client = cas.client(createTestClient());
  const first = tokenOf(cas);
  assert.deepEqual(tokensShown(cas), [first]);
  const wrong = () => randomBytes(16).toString("hex");
  for (const token of [...Array.from({ length: 6 }, wrong), "", "x".repeat(32), first.toUpperCase().replace(/^./, "g")]) {
    await assert.rejects(client.provision(token, ""), problem("forbidden", /token is wrong/));
  }
  assert.equal(tokensShown(cas).length, 1, "nine tries are not ten");
  await assert.rejects(client.provision(wrong(), ""), problem("forbidden"));
  const [, second = ""] = tokensShown(cas);
  assert.match(second, /^[0-9a-f]{32}$/);
  assert.notEqual(second, first);
  await assert.rejects(client.provision(first, ""), problem("forbidden"), "the first one is dead");
  await client.provision(second, "");
  await assert.rejects(client.provision(second, ""), problem("provisioned"));
  await cas.restart();
  assert.equal(tokensShown(cas).length, 2, "an owned CAS shows no token");
});

test("C-15 the owner is the holder of the key: an expired certificate of it counts, the same certificate names on another key do not", async (t) => {
  const cas = await startTestCas(t, { selfProvision: undefined });
  const owner = createTestClient();
  await cas.client(owner).provision(tokenOf(cas), "");
  const expired = createTestClient({ key: owner.privateKey, now: new Date("2001-01-01T00:00:00Z"), seconds: 60 });
  assert.ok(new X509Certificate(expired.certificate).validToDate < new Date());
  await cas.client(expired).updateConfig(CONFIG);
  await assert.rejects(cas.client(createTestClient()).updateConfig(""), problem("forbidden", /owner of this CAS only/));
});

test("C-16 a CAS that provisioned itself says so in its attestation for ever, on the console, and does it once", async (t) => {
  const cas = await startTestCas(t);
  assert.ok(cas.lines.some((line) => line.includes("whoever starts it can read and replace its configuration")));
  assert.equal((await statementOf(cas)).selfProvisioned, true);
  await assert.rejects(cas.restart({ failIfProvisioned: true }), problemOfStart(/provisioned already/));
  await cas.restart({ selfProvision: undefined });
  assert.equal((await statementOf(cas)).selfProvisioned, true);
});

const problemOfStart = (says: RegExp) => (error: unknown) => {
  assert(error instanceof Error);
  assert.match(error.message, says);
  return true;
};

test("C-17 the keys that the first start shows stay through provisioning, for whoever pinned them", async (t) => {
  const cas = await startTestCas(t, { selfProvision: undefined });
  const before = (await statementOf(cas)).chain.slice(1);
  await cas.client(createTestClient()).provision(tokenOf(cas), "");
  assert.deepEqual((await statementOf(cas)).chain.slice(1), before);
  await cas.restart();
  assert.deepEqual((await statementOf(cas)).chain.slice(1), before);
});

test("C-3 a CAS without a TEE says at every start that nothing protects it, in its attestation too, and shows its database key to nobody", async (t) => {
  const cas = await startTestCas(t);
  await cas.restart();
  assert.equal(cas.lines.filter((line) => line.includes("no TEE protects this CAS")).length, 2);
  assert.equal((await cas.client().attest("n")).evidence, null);
  assert.deepEqual(
    readdirSync(cas.directory).filter((name) => name.endsWith(".key")),
    [],
  );
  const platformKey = readFileSync(join(cas.directory, "platform", "key"), "utf8").trim();
  assert.equal(
    cas.lines.some((line) => line.includes(platformKey)),
    false,
  );
});
