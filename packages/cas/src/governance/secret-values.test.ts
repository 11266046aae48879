import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { CasProblemError } from "@vouchsafe/protocol";
import { issueCertificate, systemRandomness } from "@vouchsafe/secrets";
import { problem, refusal, testPolicy } from "../testing/policies.ts";
import { AUDITED, auditedLines, saidAloud } from "../testing/said-aloud.ts";
import { createTestClient, startTestCas } from "../testing/test-cas.ts";

const OPEN = "{attestation: {mode: none}}";
const PASSWORD = "correct-horse-c4n4ry-battery";

function mailPolicy(supplier: string, { roles = "", predecessor = "", required = "" } = {}): string {
  return testPolicy({
    name: "shop",
    security: OPEN,
    service: '    environment: {PASSWORD: "$$SCONE::smtp$$"}',
    rest: `secrets: [{name: smtp, kind: ascii, supplied_by: [${supplier}]${required}}, {name: other, kind: ascii}]\n${roles}\n${predecessor === "" ? "" : `predecessor: ${predecessor}`}`,
  });
}

test("extension supplied_by: a service waits for the value, gets it, and keeps it over updates and restarts", async (t) => {
  const cas = await startTestCas(t, { selfProvision: AUDITED });
  const [author, supplier, stranger] = [createTestClient(), createTestClient(), createTestClient()];
  const { hash } = await cas.client(author).uploadSession(mailPolicy(supplier.keyHash));
  const attest = async () => {
    const { configuration, connection } = await cas.attest("shop/api", { evidence: undefined });
    connection.close();
    return configuration.environment["PASSWORD"];
  };
  await assert.rejects(
    attest(),
    refusal("values_unresolved", "values", /smtp: its value has not been supplied yet: session secret set shop smtp/),
  );
  await assert.rejects(cas.client(author).supplySecret("shop", "smtp", PASSWORD), problem("forbidden"));
  await assert.rejects(cas.client(stranger).supplySecret("shop", "smtp", PASSWORD), problem("not_found"));
  await assert.rejects(cas.client(supplier).supplySecret("shop", "other", PASSWORD), problem("not_found"));
  await assert.rejects(cas.client(supplier).supplySecret("nothing", "smtp", PASSWORD), problem("not_found"));
  await assert.rejects(cas.client(undefined).supplySecret("shop", "smtp", PASSWORD), problem("unauthenticated"));
  await cas.client(supplier).supplySecret("shop", "smtp", PASSWORD);
  assert.equal(await attest(), PASSWORD);
  assert.match(
    auditedLines(cas),
    new RegExp(`"secret_supplied","data":\\{"session":"shop","secret":"smtp","client":"${supplier.keyHash}"`),
  );

  for (const client of [author, supplier, stranger]) await assert.rejects(cas.client(client).readSecret("shop", "smtp"), CasProblemError);
  assert.equal((await cas.client(author).readSession("shop")).text.includes(PASSWORD), false);
  const [listed] = (await cas.client(author).listSecrets("shop")).secrets;
  assert.deepEqual(
    { ...listed, suppliedAt: "" },
    { name: "smtp", kind: "ascii", required: true, hasValue: true, suppliedAt: "", mayWrite: false, mayRead: false },
  );
  await assert.rejects(cas.client(stranger).listSecrets("shop"), problem("not_found"));
  assert.equal((await cas.client(supplier).listSecrets("shop")).secrets[0]?.mayWrite, true);

  await cas
    .client(author)
    .uploadSession(mailPolicy(supplier.keyHash, { predecessor: hash, roles: "salt: 00112233445566778899aabbccddeeff" }));
  assert.equal(await attest(), PASSWORD, "kept on update");
  await cas.restart();
  assert.equal(await attest(), PASSWORD, "sealed and kept over a restart");
  await cas.client(supplier).supplySecret("shop", "smtp", "another-c4n4ry");
  assert.equal(await attest(), "another-c4n4ry");
  await cas.stop();
  assert.equal(saidAloud(cas).includes("c4n4ry"), false, "no value in any log, audit entry or file");
});

test("extension supplied_by: a value that does not fit is refused without repeating it", async (t) => {
  const cas = await startTestCas(t);
  const client = createTestClient();
  const kinds = ["binary", "private-key", "x509"].map((kind) => `{name: ${kind}, kind: ${kind}, supplied_by: CREATOR}`).join(", ");
  await cas.client(client).uploadSession(`version: "0.3"\nname: kinds\nsecrets: [${kinds}]\n`);
  for (const [secret, says] of [
    ["binary", /not all hexadecimal; expected an even number of hexadecimal digits/],
    ["private-key", /expected unencrypted PKCS#8/],
    ["x509", /not PEM; expected PEM: the certificate, then its chain/],
  ] as const) {
    await assert.rejects(cas.client(client).supplySecret("kinds", secret, "c4n4ry"), (error: unknown) => {
      problem("invalid_value", says)(error);
      return !JSON.stringify(error).includes("c4n4ry") && !String(error).includes("c4n4ry");
    });
  }
  await cas.client(client).supplySecret("kinds", "binary", "C4FE");
});

test("extension supplied_by: an optional secret without a value gives nothing, and running instances get the value when it comes", async (t) => {
  const cas = await startTestCas(t);
  const client = createTestClient();
  await cas.client(client).uploadSession(
    testPolicy({
      name: "shop",
      security: OPEN,
      service: "    image_name: i",
      rest: 'secrets: [{name: banner, kind: ascii, required: false, supplied_by: CREATOR}]\nimages: [{name: i, injection_files: [{path: /banner, content: "<$$SCONE::banner$$>"}, /template]}]',
    }),
  );
  const { configuration, connection } = await cas.attest("shop/api", { evidence: undefined });
  assert.equal(Buffer.from(configuration.files[0]?.content ?? "", "base64").toString(), "<>");
  assert.equal(configuration.templateValues["banner"], "");
  const renewed = new Promise<string>((resolve) => connection.onRenewal(({ files }) => resolve(files[0]?.content ?? "")));
  await cas.client(client).supplySecret("shop", "banner", "closed");
  assert.equal(Buffer.from(await renewed, "base64").toString(), "<closed>");
  connection.close();
});

test("extension supplied_by: a CA from outside signs the session's certificates as soon as it and its key are there", async (t) => {
  const cas = await startTestCas(t);
  const client = createTestClient();
  await cas.client(client).uploadSession(
    testPolicy({
      name: "shop",
      security: OPEN,
      service: '    environment: {CRT: "$$SCONE::leaf$$", CHAIN: "$$SCONE::leaf:chain$$"}',
      rest: `secrets:
  - {name: ca_key, kind: private-key, supplied_by: CREATOR}
  - {name: ca, kind: x509-ca, private_key: ca_key, supplied_by: CREATOR}
  - {name: key, kind: private-key}
  - {name: leaf, kind: x509, private_key: key, issuer: ca, san: "dns:a.example"}`,
    }),
  );
  const attest = async () => {
    const { configuration, connection } = await cas.attest("shop/api", { evidence: undefined });
    connection.close();
    return configuration.environment;
  };
  const authority = () => {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const request = { isCa: true, commonName: "corporate", san: [], endpoint: undefined, validForSeconds: undefined, control: undefined };
    const { pem } = issueCertificate(request, { ownKey: privateKey }, { now: new Date(), random: systemRandomness });
    return { pem, key: privateKey.export({ type: "pkcs8", format: "pem" }).toString() };
  };
  const [first, second] = [authority(), authority()];
  await cas.client(client).supplySecret("shop", "ca", first.pem);
  await assert.rejects(attest(), refusal("values_unresolved", "values", /leaf: its issuer or its private key has no value yet/));
  await cas.client(client).supplySecret("shop", "ca_key", first.key);
  const before = await attest();
  assert.equal(before["CHAIN"], first.pem);
  const { warnings } = await cas.client(client).supplySecret("shop", "ca", second.pem);
  assert.match(warnings.join(), /certificate ca was not issued for the present key ca_key/);
  await cas.client(client).supplySecret("shop", "ca_key", second.key);
  const after = await attest();
  assert.equal(after["CHAIN"], second.pem);
  assert.notEqual(after["CRT"], before["CRT"], "issued anew under the new authority");
});

test("extension roles: write_secret and read_secret are for the members of the role alone, and every reading is audited", async (t) => {
  const cas = await startTestCas(t, { selfProvision: AUDITED });
  const [author, operator, auditor] = [createTestClient(), createTestClient(), createTestClient()];
  const roles = `roles: [{name: operators, members: [${operator.keyHash}], may: [{write_secret: [smtp]}]}, {name: auditors, members: [${auditor.keyHash}], may: [{read_secret: [smtp, other]}]}]`;
  await cas.client(author).uploadSession(mailPolicy("NONE", { roles }));
  await assert.rejects(cas.client(author).supplySecret("shop", "smtp", PASSWORD), problem("forbidden"));
  await assert.rejects(cas.client(auditor).readSecret("shop", "smtp"), problem("not_found", /no value yet/));
  await cas.client(operator).supplySecret("shop", "smtp", PASSWORD);
  await assert.rejects(cas.client(operator).readSecret("shop", "smtp"), problem("not_found"));
  assert.deepEqual(await cas.client(auditor).readSecret("shop", "smtp"), { kind: "ascii", encoding: "text", value: PASSWORD });
  assert.match((await cas.client(auditor).readSecret("shop", "other")).value, /^[!-~]{20}$/, "a generated value");
  await assert.rejects(cas.client(auditor).readSecret("shop", "smtp", "hex"), problem("bad_request", /no format hex/));
  assert.equal(auditedLines(cas).match(/"secret_read"/g)?.length, 2);
  await cas.stop();
  assert.equal(saidAloud(cas).includes("c4n4ry"), false);
});
