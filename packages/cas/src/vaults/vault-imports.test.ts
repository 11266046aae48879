import assert from "node:assert/strict";
import { createCipheriv, createPrivateKey, generateKeyPairSync, randomBytes, X509Certificate } from "node:crypto";
import { type TestContext, test } from "node:test";
import { issueCertificate, systemRandomness } from "@vouchsafe/secrets";
import type { CasOptions } from "../start-cas.ts";
import { APPLICATION_SECRET, type AzureDouble, aadToken, applicationCertificate, startAzure, VAULT } from "../testing/azure-double.ts";
import { problem, refusal, testPolicy } from "../testing/policies.ts";
import { AUDITED, auditedLines, saidAloud } from "../testing/said-aloud.ts";
import { createTestClient, startTestCas, type TestCas } from "../testing/test-cas.ts";

/** Evidence plays no part here, and its time would have to follow the clocks of these tests. */
const OPEN = "{attestation: {mode: none}}";
const VALUE = "canary-value-in-the-vault-1";

interface Started {
  readonly azure: AzureDouble;
  readonly cas: TestCas;
  /** Moves the clock of all of them. */
  pass(ms: number): void;
}

async function start(t: TestContext, options: Partial<CasOptions> = {}): Promise<Started> {
  let now = new Date("2026-06-01T00:00:00Z").getTime();
  const clock = () => new Date(now);
  const azure = await startAzure(t, clock);
  const cas = await startTestCas(t, { now: clock, selfProvision: { config: azure.config + AUDITED.config }, ...options });
  return {
    azure,
    cas,
    pass: (ms) => {
      now += ms;
    },
  };
}

/** A session whose service shows its values in variables; `own` uses none of the vault. */
function policy(name: string, environment: string, secrets: string, more = ""): string {
  return testPolicy({
    name,
    security: OPEN,
    service: `    environment: {${environment}}\n  - {name: own, command: x, pwd: /, attestation: {mrenclave: [${"ab".repeat(32)}]}}`,
    rest: `secrets: [${secrets}]\n${more}`,
  });
}

const shop = (environment = 'P: "$$SCONE::p$$"', secret = `{name: p, import_akv: {vault: ${VAULT}}}`, more = "") =>
  policy("shop", environment, `${aadToken()}, ${secret}`, more);

async function environment(cas: TestCas, service = "shop/api"): Promise<Readonly<Record<string, string>>> {
  const { configuration, connection } = await cas.attest(service, { evidence: undefined });
  connection.close();
  return configuration.environment;
}

const failed = (says: RegExp) => refusal("values_unresolved", "values", says);
const asked = ({ azure }: Started, what: string) => azure.requests.filter((request) => request.startsWith(what)).length;

/** SL-152 in its own words. */
function encrypted(plain: Uint8Array, key: Uint8Array): string {
  const iv = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key, iv);
  const payload = Buffer.concat([cipher.update(plain), cipher.final()]);
  const length = Buffer.from([payload.length >> 8, payload.length & 0xff]);
  return Buffer.concat([Buffer.from("00a10002", "hex"), length, iv, payload, cipher.getAuthTag()]).toString("base64");
}

test("SL-113, SL-151 a service gets a secret of the vault and a token for it; token and answer are asked for once", async (t) => {
  const started = await start(t);
  const { azure, cas, pass } = started;
  azure.put("p", VALUE);
  azure.put("Other-Name", "another one");
  const uploaded = await cas
    .client(createTestClient())
    .uploadSession(
      shop(
        'P: "$$SCONE::p$$", Q: "<$$SCONE::q$$>", T: "$$SCONE::aad$$"',
        `{name: p, import_akv: {vault: "https://${VAULT}/"}}, {name: q, kind: ascii, import_akv: {vault: ${VAULT}, secret_name: Other-Name, token: "$$SCONE::aad$$"}}`,
      ),
    );
  assert.deepEqual(
    uploaded.warnings.filter(({ rule }) => rule === "SL-151"),
    [],
  );
  const found = await environment(cas);
  assert.deepEqual([found["P"], found["Q"]], [VALUE, "<another one>"]);
  assert.ok(azure.tokens.has(found["T"] ?? ""));
  await environment(cas);
  assert.deepEqual([asked(started, "POST "), asked(started, `GET ${VAULT}/secrets/p`)], [1, 1]);
  pass(10_000);
  await environment(cas);
  assert.deepEqual([asked(started, "POST "), asked(started, `GET ${VAULT}/secrets/p`)], [1, 2]);
});

test("SL-113 a certificate opens the vault too: a signed assertion, bound to authority and time", async (t) => {
  const { azure, cas } = await start(t);
  const registered = applicationCertificate();
  azure.certificate = registered;
  azure.put("p", VALUE);
  const withKey = (pem: string) =>
    policy(
      "shop",
      'P: "$$SCONE::p$$"',
      `${aadToken(`private_key: ${JSON.stringify(pem)}, certificate_thumbprint: ${registered.thumbprint.toUpperCase()}`)}, {name: p, import_akv: {vault: ${VAULT}}}`,
    );
  const client = cas.client(createTestClient());
  const { hash } = await client.uploadSession(withKey(registered.pem));
  assert.equal((await environment(cas))["P"], VALUE);
  await client.uploadSession(withKey(applicationCertificate().pem).replace("name: shop\n", `name: shop\npredecessor: ${hash}\n`));
  await assert.rejects(
    environment(cas),
    failed(/TOKEN_REFUSED: login\.microsoftonline\.com refuses a token: 401, invalid_client, AADSTS700027/),
  );
});

test("SL-104, SL-113 a token is renewed before its end, replaced when the vault no longer takes it, and sent to running instances", async (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const started = await start(t);
  const { azure, cas, pass } = started;
  azure.put("p", VALUE);
  await cas.client(createTestClient()).uploadSession(
    testPolicy({
      name: "shop",
      security: OPEN,
      service: "    image_name: i",
      rest: `secrets: [${aadToken()}, {name: p, import_akv: {vault: ${VAULT}}}]\nimages: [{name: i, injection_files: [{path: /t, content: "$$SCONE::aad$$"}, {path: /p, content: "$$SCONE::p$$"}]}]`,
    }),
  );
  const running = await cas.attest("shop/api", { evidence: undefined });
  const content = (path: string, files: readonly { path: string; content: string | null }[]) =>
    Buffer.from(files.find((file) => file.path === path)?.content ?? "", "base64").toString();
  const first = content("/t", running.configuration.files);
  const tick = async () => {
    const renewed = new Promise<readonly { path: string; content: string }[]>((resolve) =>
      running.connection.onRenewal(({ files }) => resolve(files)),
    );
    t.mock.timers.tick(30_000);
    return renewed;
  };
  azure.put("p", "rotated in the vault");
  pass(10_000);
  assert.equal(content("/p", await tick()), "rotated in the vault");
  pass(3_400_000);
  const second = content("/t", await tick());
  assert.notEqual(second, first);
  running.connection.close();
  // Withdrawn before its end: the vault says 401, another token is fetched, once.
  azure.tokens.clear();
  pass(10_000);
  const before = asked(started, "POST ");
  const { configuration, connection } = await cas.attest("shop/api", { evidence: undefined });
  connection.close();
  assert.equal(content("/p", configuration.files), "rotated in the vault");
  assert.equal(asked(started, "POST "), before + 1);
});

test("SL-152 an encrypted value opens with the session's key: text, bytes, PKCS#1 keys; anything else is named", async (t) => {
  const { azure, cas, pass } = await start(t);
  const key = randomBytes(32);
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  azure.put("text", encrypted(Buffer.from("grüße"), key));
  azure.put("bytes", encrypted(Buffer.from([0, 255, 10]), key), "binary");
  azure.put("key", encrypted(rsa.privateKey.export({ type: "pkcs1", format: "der" }), key), "PKCS#1");
  const secret = (name: string, more = "") => `{name: ${name}${more}, import_akv: {vault: ${VAULT}, decryption_key: "$$SCONE::dk$$"}}`;
  const client = cas.client(createTestClient());
  await client.uploadSession(
    shop(
      'A: "$$SCONE::text$$", B: "$$SCONE::bytes:hex$$", C: "$$SCONE::key$$"',
      `{name: dk, kind: binary, value: ${key.toString("hex")}}, ${secret("text")}, ${secret("bytes", ", kind: binary")}, ${secret("key", ", kind: private-key")}`,
    ),
  );
  const found = await environment(cas);
  assert.deepEqual([found["A"], found["B"]], ["grüße", "00ff0a"]);
  assert.ok(createPrivateKey(found["C"] ?? "").equals(rsa.privateKey));
  const text = azure.secrets.get(`${VAULT}/text`)?.at(-1)?.value ?? "";
  const flipped = Buffer.from(text, "base64");
  flipped[20] = (flipped[20] ?? 0) ^ 1;
  for (const [value, says] of [
    [flipped.toString("base64"), /cannot be decrypted with this key/],
    [encrypted(Buffer.from("x"), randomBytes(32)), /cannot be decrypted with this key/],
    ["not base64!", /no base64/],
    [Buffer.alloc(64).toString("base64"), /does not begin with 00a1 0002/],
    [text.slice(0, -4), /states a payload of/],
    [encrypted(Buffer.from([0xff, 0xfe]), key), /no UTF-8/],
    ["AKEAAg==", /too short/],
  ] as const) {
    azure.put("text", value);
    pass(10_000);
    await assert.rejects(environment(cas), failed(says));
  }
});

test("SL-153 PEM certificates become x509 with chain and key, PKCS#12 stays text, and what a session says of a kind has to be so", async (t) => {
  const { azure, cas, pass } = await start(t);
  const root = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const leaf = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const request = { isCa: true, commonName: "root", san: [], endpoint: undefined, validForSeconds: undefined, control: undefined };
  const options = { now: new Date("2026-06-01T00:00:00Z"), random: systemRandomness };
  const ca = issueCertificate(request, { ownKey: root.privateKey }, options).pem;
  const { pem } = issueCertificate(
    { ...request, isCa: false, commonName: "leaf" },
    { publicKey: leaf.publicKey, issuer: { certificate: ca, privateKey: root.privateKey } },
    options,
  );
  const keyPem = leaf.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  azure.put("web", `${keyPem}${pem}${ca}`, "application/x-pem-file");
  azure.put("pfx", "MIIKAgIBAzCCCb4GCSqGSIb3DQEHAaCCCa8EggmrMIIJpzCC", "application/x-pkcs12");
  azure.put("issuer", `${root.privateKey.export({ type: "pkcs8", format: "pem" })}${ca}`, "application/x-pem-file");
  azure.put("rules", '{"tolerate": ["hyperthreading"]}');
  const secret = (name: string, kind = "") => `{name: ${name}${kind}, import_akv: {vault: ${VAULT}}}`;
  const client = cas.client(createTestClient());
  const { hash } = await client.uploadSession(
    shop(
      'C: "$$SCONE::web$$", H: "$$SCONE::web:chain$$", K: "$$SCONE::web:privatekey$$", P: "$$SCONE::pfx$$", I: "$$SCONE::inner:chain$$"',
      `${secret("web")}, ${secret("pfx")}, ${secret("issuer", ", kind: x509-ca")}, {name: k, kind: private-key}, {name: inner, kind: x509, private_key: k, issuer: issuer, dns: inner}`,
    ),
  );
  const found = await environment(cas);
  assert.deepEqual([found["H"], found["I"]], [ca, ca], "certificates below an issuer in a vault are issued");
  assert.ok(new X509Certificate(found["C"] ?? "").checkPrivateKey(createPrivateKey(found["K"] ?? "")));
  assert.match(found["P"] ?? "", /^MIIKAgIBAzCC/);
  const update = (kind: string, name = "pfx") =>
    client
      .readSessionHash("shop")
      .then(({ hash: current }) =>
        client.uploadSession(
          shop(
            'P: "$$SCONE::p$$"',
            `{name: p, kind: ${kind}, import_akv: {vault: ${VAULT}, secret_name: ${name}}}`,
            `predecessor: ${current}`,
          ),
        ),
      );
  assert.ok(hash);
  for (const [kind, name, says] of [
    ["x509", "pfx", /no PEM certificate/],
    ["x509-ca", "web", /none of a CA/],
    ["private-key", "web", /expected unencrypted PKCS#8/],
    ["public-key", "pfx", /no PEM public key/],
  ] as const) {
    await update(kind, name);
    await assert.rejects(environment(cas), failed(says), kind);
  }
  azure.put("web", pem + leaf.privateKey.export({ type: "sec1", format: "pem" }));
  await update("x509", "web");
  await assert.rejects(environment(cas), failed(/one PKCS#8 private key/));
  azure.put("web", pem + root.privateKey.export({ type: "pkcs8", format: "pem" }));
  pass(10_000);
  await assert.rejects(environment(cas), failed(/not that of the certificate/));
});

test("SL-151 what a vault refuses is fatal for the services that use it, and for those only; the codes tell why; tries are counted", async (t) => {
  const started = await start(t);
  const { azure, cas, pass } = started;
  azure.put("p", VALUE);
  const client = cas.client(createTestClient());
  await client.uploadSession(shop());
  assert.equal((await environment(cas))["P"], VALUE);
  const path = "/secrets/p";
  const at =
    (status: number, headers: Record<string, string> = {}, body = "{}"): AzureDouble["hostile"] =>
    (request, response) => {
      if (!request.url?.startsWith(path)) return false;
      response.writeHead(status, headers).end(body);
      return true;
    };
  const bundle = (name: string, value = VALUE) => JSON.stringify({ value, id: `https://${VAULT}/secrets/${name}/1` });
  for (const [hostile, says, tries] of [
    [at(404), /VAULT_MISSING: shop-secrets\.vault\.azure\.net has no secret p: 404/, 1],
    [at(403, {}, '{"error": {"code": "Forbidden"}}'), /VAULT_FORBIDDEN: .* 403 \(Forbidden\)/, 1],
    [at(401), /VAULT_UNAUTHORIZED: .* 401/, 2],
    [at(400), /VAULT_ANSWER: .* answers 400/, 1],
    [at(302, { location: "https://elsewhere.vault.azure.net/secrets/p" }), /VAULT_ANSWER/, 1],
    [at(200, {}, "<html>"), /VAULT_ANSWER: .* no JSON/, 1],
    [at(200, {}, bundle("q")), /VAULT_ANSWER: .* not secret p/, 1],
    [at(200, {}, bundle("p", "x".repeat(300_000))), /VAULT_ANSWER: .* more than 262144 bytes/, 1],
  ] as const) {
    azure.hostile = hostile;
    pass(10_000);
    const before = asked(started, `GET ${VAULT}${path}`);
    await assert.rejects(environment(cas), failed(says));
    assert.equal(asked(started, `GET ${VAULT}${path}`) - before, tries, String(says));
    await environment(cas, "shop/own");
  }
  // What passes by itself: tried three times, and the last value holds for ten minutes.
  azure.hostile = undefined;
  pass(10_000);
  assert.equal((await environment(cas))["P"], VALUE);
  for (const [hostile, says, tries] of [
    [at(429), /VAULT_BUSY/, 3],
    [at(429, { "retry-after": "60" }), /VAULT_BUSY/, 1],
    [at(503), /VAULT_FAILED: .* answers 503/, 3],
  ] as const) {
    azure.hostile = hostile;
    pass(10_000);
    const before = asked(started, `GET ${VAULT}${path}`);
    assert.equal((await environment(cas))["P"], VALUE);
    assert.equal(asked(started, `GET ${VAULT}${path}`) - before, tries, String(says));
    pass(11 * 60_000);
    await assert.rejects(environment(cas), failed(says));
    azure.hostile = undefined;
    pass(10_000);
    assert.equal((await environment(cas))["P"], VALUE);
  }
  azure.isDown = true;
  pass(10_000);
  assert.equal((await environment(cas))["P"], VALUE);
  pass(11 * 60_000);
  await assert.rejects(environment(cas), failed(/VAULT_UNREACHABLE: .* cannot be reached/));
});

test("SL-151 a vault that never answers costs five seconds, and only those who need it", async (t) => {
  const { azure, cas } = await start(t);
  azure.put("p", VALUE);
  azure.hostile = (request) => request.url?.startsWith("/secrets/") === true;
  const client = cas.client(createTestClient());
  const beganAt = performance.now();
  const [{ warnings }] = await Promise.all([
    client.uploadSession(shop()),
    client.uploadSession('version: "0.3"\nname: other\n').then(() => assert.ok(performance.now() - beganAt < 4_000, "others do not wait")),
  ]);
  assert.match(warnings.find(({ rule }) => rule === "SL-151")?.message ?? "", /VAULT_TIMEOUT: .* no answer within 5000 ms/);
  assert.ok(performance.now() - beganAt < 20_000);
});

test("SL-151 nobody but the configured authorities is believed, and the owner may switch all of it off", async (t) => {
  const azure = await startAzure(t);
  azure.put("p", VALUE);
  const unknown = await startTestCas(t, { selfProvision: { config: `[azure]\nconnect_to = "127.0.0.1:${azure.port}"\n` } });
  await unknown.client(createTestClient()).uploadSession(shop());
  await assert.rejects(environment(unknown), failed(/VAULT_TLS: login\.microsoftonline\.com has no acceptable certificate/));
  assert.equal(azure.requests.length, 0, "nothing was sent");
  const off = await startTestCas(t, { selfProvision: { config: `${azure.config}enabled = false\n` } });
  const line = (text: string, what: string) => text.split("\n").findIndex((each) => each.includes(what)) + 1;
  const refused = async (cas: TestCas, text: string, rule: string, what: string, says: RegExp) => {
    await assert.rejects(cas.client(createTestClient()).uploadSession(text), (error) => {
      problem("unsupported", says)(error);
      const [diagnostic] = (error as { problem: { diagnostics: { rule: string; line: number; column: number }[] } }).problem.diagnostics;
      const at = (text.split("\n")[line(text, what) - 1] ?? "").indexOf(what) + 1;
      assert.deepEqual([diagnostic?.rule, diagnostic?.line, diagnostic?.column], [rule, line(text, what), at]);
      return true;
    });
  };
  await refused(off, policy("shop", "", aadToken()), "SL-113", "aad-token", /secrets\[0\]\.kind: this CAS asks no vaults/);
  const cas = await startTestCas(t, { selfProvision: { config: azure.config } });
  const elsewhere = shop().replaceAll(VAULT, "vault.example.org");
  await refused(cas, elsewhere, "SL-151", "vault.example.org", /secrets\[1\]\.import_akv\.vault: vault\.example\.org is no vault/);
  for (const host of ["a.b.vault.azure.net", "vault.azure.net", "evil-vault.azure.net"])
    await refused(cas, shop().replaceAll(VAULT, host), "SL-151", host, /is no vault that this CAS may ask/);
  const store = (vault: string) => policy("shop", "", aadToken(), `secret_config:\n  store_in: !akv {vault: ${vault}}`);
  await refused(cas, store("evil.example"), "SL-154", "evil.example", /secret_config\.store_in\.vault/);
});

test("C-10 the section azure of the owner configuration is checked where it stands", async (t) => {
  for (const [line, says] of [
    ['authority = "https://login.example"', /azure\.authority: expected a host name/],
    ['connect_to = "proxy"', /azure\.connect_to: expected HOST:PORT/],
    ['ca_certificate = "none"', /azure\.ca_certificate: no PEM certificate/],
    ["tenant = 1", /azure\.tenant: unknown key/],
  ] as const)
    await assert.rejects(startTestCas(t, { selfProvision: { config: `[azure]\n${line}\n` } }), says);
});

test("SL-143, SL-149, SL-150 a secret of a vault goes on to the sessions that it is exported to, and to everybody where it says so", async (t) => {
  const started = await start(t);
  const { azure, cas, pass } = started;
  azure.put("p", VALUE);
  azure.put("motd", "welcome");
  const client = cas.client(createTestClient());
  await client.uploadSession(
    policy(
      "source",
      "",
      `${aadToken()}, {name: p, import_akv: {vault: ${VAULT}}, export: {session: shop}}, {name: own, import_akv: {vault: ${VAULT}, secret_name: p}}, {name: motd, import_akv: {vault: ${VAULT}}, export_public: true}`,
    ),
  );
  await client.uploadSession(policy("shop", 'P: "$$SCONE::p$$"', "{name: p, import: {session: source}}"));
  await client.uploadSession(policy("thief", 'P: "$$SCONE::own$$"', "{name: own, import: {session: source}}"));
  assert.equal((await environment(cas))["P"], VALUE);
  await assert.rejects(environment(cas, "thief/api"), failed(/does not export own to thief/));
  azure.put("p", "second");
  pass(10_000);
  assert.equal((await environment(cas))["P"], "second");
  const open = await cas.client().publicValues("source");
  assert.deepEqual(open.get("motd"), { kind: "string", value: "welcome", expires: null, renew: null });
  assert.deepEqual([...open.keys()], ["motd"]);
});

test("SL-114, SL-182 a rule that a vault holds governs updates as it stands there now", async (t) => {
  const { azure, cas, pass } = await start(t);
  const [alice, bob] = [createTestClient(), createTestClient()];
  azure.put("who", alice.keyHash);
  const text = (predecessor: string, n: number) =>
    policy(
      "shop",
      `N: "${n}"`,
      `${aadToken()}, {name: who, import_akv: {vault: ${VAULT}}}`,
      `${predecessor}access_policy: {read: ANY, update: ["$$SCONE::who$$"]}`,
    );
  const { hash } = await cas.client(alice).uploadSession(text("", 1));
  await assert.rejects(cas.client(bob).uploadSession(text(`predecessor: ${hash}\n`, 2)), problem("forbidden"));
  azure.put("who", bob.keyHash);
  pass(10_000);
  const next = await cas.client(bob).uploadSession(text(`predecessor: ${hash}\n`, 2));
  pass(10_000);
  await assert.rejects(cas.client(alice).uploadSession(text(`predecessor: ${next.hash}\n`, 3)), problem("forbidden"));
  azure.isDown = true;
  pass(11 * 60_000);
  await assert.rejects(
    cas.client(bob).uploadSession(text(`predecessor: ${next.hash}\n`, 3)),
    problem("forbidden", /secret who cannot be read/),
  );
});

test("SL-5, SL-103 no value, token or credential of a vault is said aloud, whatever fails", async (t) => {
  const { azure, cas, pass } = await start(t);
  azure.put("p", VALUE);
  await cas.client(createTestClient()).uploadSession(shop('P: "$$SCONE::p$$", T: "$$SCONE::aad$$"'));
  const { T: token = "" } = await environment(cas);
  const refusals: string[] = [];
  const bodies = [
    "{}",
    `{"error": {"code": "${VALUE}", "message": "${VALUE}"}}`,
    `{"value": "${VALUE}"`,
    `{"value": "${VALUE}", "id": "${VALUE}"}`,
  ];
  for (const status of [200, 400, 401, 403, 404, 500])
    for (const body of bodies) {
      azure.hostile = (request, response) => {
        if (status === 401 && request.method === "POST") return false;
        response.writeHead(status, { "x-echo": `${request.headers.authorization}` }).end(body);
        return true;
      };
      pass(11 * 60_000);
      await environment(cas).catch((error: Error) => refusals.push(error.message, JSON.stringify(error)));
    }
  azure.hostile = undefined;
  azure.applicationSecrets.clear();
  pass(3_600_000);
  await assert.rejects(environment(cas), failed(/TOKEN_REFUSED: .* invalid_client, AADSTS7000215/));
  await cas.stop();
  const said = [saidAloud(cas), auditedLines(cas), ...refusals].join("\n");
  assert.ok(refusals.length > 20);
  for (const canary of [VALUE, token, "canary-token", APPLICATION_SECRET]) assert.equal(said.includes(canary), false, canary);
});
