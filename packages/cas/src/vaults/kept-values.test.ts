import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { parseSession, sessionHash } from "@vouchsafe/policy";
import type { CasOptions } from "../start-cas.ts";
import { APPLICATION_SECRET, type AzureDouble, aadToken, startAzure, VAULT } from "../testing/azure-double.ts";
import { problem, refusal, testPolicy } from "../testing/policies.ts";
import { AUDITED, auditedLines, saidAloud } from "../testing/said-aloud.ts";
import { createTestClient, startTestCas, type TestCas, type TestClient } from "../testing/test-cas.ts";

const OPEN = "{attestation: {mode: none}}";
const OTHER_VAULT = "second-store.vault.azure.net";
const STORE = (vault = VAULT) => `secret_config: {store_in: !akv {vault: ${vault}}}`;
const SECRETS =
  "{name: pw, kind: ascii, size: 24}, {name: k, kind: private-key, migrate: true}, {name: c, kind: x509, private_key: k, dns: api, valid_for: 90d}";

interface Started {
  readonly azure: AzureDouble;
  readonly cas: TestCas;
  readonly owner: TestClient;
  pass(ms: number): void;
}

async function start(t: TestContext, options: Partial<CasOptions> = {}): Promise<Started> {
  let now = new Date("2026-06-01T00:00:00Z").getTime();
  const clock = () => new Date(now);
  const azure = await startAzure(t, clock);
  const cas = await startTestCas(t, { now: clock, selfProvision: { config: azure.config + AUDITED.config }, ...options });
  const pass = (ms: number) => {
    now += ms;
  };
  return { azure, cas, owner: createTestClient(), pass };
}

interface Parts {
  readonly store?: string;
  readonly predecessor?: string;
  readonly secrets?: string;
  readonly credential?: string;
  readonly environment?: string;
  readonly more?: string;
}

function policy({ store = STORE(), predecessor, secrets = SECRETS, credential, environment = "", more = "" }: Parts = {}): string {
  const before = predecessor === undefined ? "" : `predecessor: ${predecessor}\n`;
  return testPolicy({
    name: "shop",
    security: OPEN,
    service: `    environment: {PW: "$$SCONE::pw$$", C: "$$SCONE::c$$"${environment}}`,
    rest: `${before}${store}\n${more}\nsecrets: [${aadToken(credential)}, ${secrets}]`,
  });
}

async function environment(cas: TestCas, service = "shop/api"): Promise<Readonly<Record<string, string>>> {
  const { configuration, connection } = await cas.attest(service, { evidence: undefined });
  connection.close();
  return configuration.environment;
}

const entriesOf = (azure: AzureDouble, hash: string, vault?: string) =>
  azure.names(vault).filter((name) => name.startsWith(`cas-${hash}-`));
const newest = (azure: AzureDouble, name: string) => azure.secrets.get(`${VAULT}/${name}`) ?? assert.fail();

test("SL-154 values lie in the vault, sealed, under the session's hash, and come back after a restart", async (t) => {
  const { azure, cas, owner, pass } = await start(t);
  const client = cas.client(owner);
  const { hash } = await client.uploadSession(policy());
  const [name = "", ...others] = entriesOf(azure, hash);
  assert.deepEqual(others, []);
  assert.match(name, /^cas-[0-9a-f]{64}-[0-9a-f]{32}$/);
  const first = await environment(cas);
  assert.equal(first["PW"]?.length, 24);
  pass(10_000);
  await cas.restart();
  assert.deepEqual(await environment(cas), first);
  const inVault = [...azure.secrets.values()].flat().map(({ value }) => `${value}\n${Buffer.from(value, "base64").toString("latin1")}`);
  await cas.stop();
  const canary = first["PW"] ?? "";
  assert.equal([...inVault, saidAloud(cas), auditedLines(cas)].join("\n").includes(canary), false);
  assert.equal(saidAloud(cas).includes(APPLICATION_SECRET), false);
});

test("SL-154 a missing, changed or old value makes every operation on the session fail, until it is there again", async (t) => {
  const { azure, cas, owner, pass } = await start(t);
  const client = cas.client(owner);
  const more = `access_policy: {create_sessions: ANY}\nvolumes: [{name: data}]\nroles: [{name: support, members: [${owner.keyHash}], may: [{read_secret: [pw]}, {raise_isvsvn: [api]}]}]\nupdate_proposals: {enabled: true, expires: 1d}`;
  const created = await client.uploadSession(policy({ more }));
  const { hash } = await client.uploadSession(
    policy({ more: `${more}\nsalt: 00112233445566778899aabbccddeeff`, predecessor: created.hash }),
  );
  const [old = ""] = entriesOf(azure, created.hash);
  const [name = ""] = entriesOf(azure, hash);
  const good = newest(azure, name);
  const sealed = good.at(-1)?.value ?? "";
  const flipped = Buffer.from(sealed, "base64");
  flipped[7] = (flipped[7] ?? 0) ^ 1;
  const tampered = [
    ["missing", undefined],
    ["changed", flipped.toString("base64")],
    ["shorter", sealed.slice(0, -8)],
    ["old", newest(azure, old).at(-1)?.value ?? ""],
    ["no base64", "%"],
  ] as const;
  for (const [what, value] of tampered) {
    pass(10_000);
    if (value === undefined) azure.secrets.delete(`${VAULT}/${name}`);
    else azure.put(name, value);
    const lost = problem("values_lost");
    const update = policy({
      more: `${more}\nsalt: 00112233445566778899aabbccddeeff`,
      predecessor: hash,
      secrets: `${SECRETS}, {name: n, kind: ascii}`,
    });
    const operations: readonly [string, () => Promise<unknown>, (error: unknown) => true][] = [
      ["delivery", () => environment(cas), refusal("values_unresolved", "values")],
      ["read", () => client.readSession("shop"), lost],
      ["hash", () => cas.client().readSessionHash("shop"), lost],
      ["update", () => client.uploadSession(update), lost],
      [
        "patch",
        () => client.patchSession("shop", `predecessor: ${hash}\nservices: [{name: api, add_mrenclave: ["${"cd".repeat(32)}"]}]\n`),
        lost,
      ],
      ["nested", () => client.uploadSession('version: "0.3"\nname: shop/x\n'), lost],
      ["list", () => client.listSessions("shop"), lost],
      ["secret", () => client.readSecret("shop", "pw"), lost],
      ["secrets", () => client.listSecrets("shop"), lost],
      ["proposals", () => client.proposals("shop"), lost],
      ["activations", () => client.activations("shop"), lost],
    ];
    for (const [operation, run, says] of operations) await assert.rejects(run(), says, `${operation} with a value that is ${what}`);
    azure.secrets.set(`${VAULT}/${name}`, good);
  }
  pass(10_000);
  assert.equal((await client.readSessionHash("shop")).hash, hash);
  assert.equal((await environment(cas))["PW"]?.length, 24);
});

test("C-53, SL-154 while a value of its session is missing in the vault, no instance's tag is taken", async (t) => {
  const { azure, cas, owner, pass } = await start(t);
  const service = `    fspf_path: /f.pb\n    fspf_key: ${"5a".repeat(32)}\n    fspf_tag: ${"22".repeat(16)}`;
  const rest = `${STORE()}\nsecrets: [${aadToken(undefined)}, {name: pw, kind: ascii, size: 24}]`;
  const { hash } = await cas.client(owner).uploadSession(testPolicy({ name: "shop", security: OPEN, service, rest }));
  const { connection } = await cas.attest("shop/api", { evidence: undefined });
  t.after(() => connection.close());
  const [name = ""] = entriesOf(azure, hash);
  const good = newest(azure, name);
  const report = () => connection.reportTag({ kind: "file-system" }, "22".repeat(16), "11".repeat(16));
  azure.secrets.delete(`${VAULT}/${name}`);
  pass(10_000);
  await assert.rejects(report(), { code: "TAG_CONFLICT", message: /vault/ });
  azure.secrets.set(`${VAULT}/${name}`, good);
  pass(10_000);
  await report();
});

test("SL-154 an update keeps and moves values: to another vault, into the CAS, and back; former entries stay", async (t) => {
  const { azure, cas, owner } = await start(t);
  const client = cas.client(owner);
  const created = await client.uploadSession(policy({ store: "" }));
  assert.deepEqual(azure.names(), []);
  const { PW: value } = await environment(cas);
  let { hash } = created;
  const hashes = [];
  for (const store of [STORE(), STORE(OTHER_VAULT), "", STORE()]) {
    ({ hash } = await client.uploadSession(policy({ store, predecessor: hash })));
    hashes.push(hash);
    assert.equal((await environment(cas))["PW"], value, store);
  }
  const [first = "", second = "", third = "", fourth = ""] = hashes;
  const counts = [
    entriesOf(azure, first),
    entriesOf(azure, second, OTHER_VAULT),
    [...entriesOf(azure, third), ...entriesOf(azure, third, OTHER_VAULT)],
    entriesOf(azure, fourth),
  ];
  assert.deepEqual(
    counts.map(({ length }) => length),
    [1, 1, 0, 1],
  );
});

test("SL-154 no acknowledged policy is lost while the vault is away, and nothing of a refused one stays", async (t) => {
  const { azure, cas, owner, pass } = await start(t);
  const client = cas.client(owner);
  const { hash } = await client.uploadSession(policy());
  const before = await environment(cas);
  const text = policy({ predecessor: hash, secrets: `${SECRETS}, {name: n, kind: ascii}` });
  azure.hostile = (request, response) => {
    if (request.method !== "PUT") return false;
    response.writeHead(503).end();
    return true;
  };
  await assert.rejects(client.uploadSession(text), problem("vault_unavailable", /cannot be stored, nothing was changed: VAULT_FAILED/));
  azure.hostile = (request, response) => {
    if (request.method !== "PUT") return false;
    response
      .writeHead(200)
      .end(JSON.stringify({ value: "another", id: `https://${VAULT}${new URL(request.url ?? "", "https://x").pathname}/1` }));
    return true;
  };
  await assert.rejects(client.uploadSession(text), problem("vault_unavailable", /VAULT_ANSWER: .* confirmed another value/));
  azure.hostile = undefined;
  azure.isDown = true;
  await assert.rejects(client.uploadSession(text), problem("vault_unavailable"));
  await assert.rejects(client.uploadSession(policy().replace("name: shop", "name: second")), problem("vault_unavailable"));
  // What it last said holds for a while; a document can be read without it.
  pass(60_000);
  assert.deepEqual(await environment(cas), before);
  pass(11 * 60_000);
  await assert.rejects(environment(cas), refusal("values_unresolved", "values", /VAULT_UNREACHABLE|TOKEN|cannot be reached/));
  assert.equal((await client.readSessionHash("shop")).hash, hash);
  await cas.restart();
  const again = cas.client(owner);
  await assert.rejects(environment(cas), refusal("values_unresolved", "values"));
  azure.isDown = false;
  pass(10_000);
  assert.deepEqual(await environment(cas), before);
  assert.equal((await again.readSessionHash("shop")).hash, hash);
  await again.uploadSession(text);
  assert.equal((await environment(cas))["PW"], before["PW"]);
  assert.equal(auditedLines(cas).match(/"session_updated"/g)?.length, 1);
});

test("SL-47, SL-154 of two racing updates one wins, and others do not wait for a slow vault", async (t) => {
  const { azure, cas, owner } = await start(t);
  const client = cas.client(owner);
  const { hash } = await client.uploadSession(policy());
  let waiting = 0;
  let slow = true;
  azure.hostile = (request, response) => {
    if (!slow || request.method !== "PUT") return false;
    waiting += 1;
    void client.uploadSession(`version: "0.3"\nname: other-${waiting}\n`).then(() => {
      slow = false;
      response.writeHead(503).end(); // tried again, and accepted
    });
    return true;
  };
  const racing = ["first", "second", "third"].map((name) =>
    client.uploadSession(policy({ predecessor: hash, secrets: `${SECRETS}, {name: ${name}, kind: ascii}` })),
  );
  const outcomes = await Promise.allSettled(racing);
  const won = outcomes.filter(({ status }) => status === "fulfilled");
  assert.equal(won.length, 1);
  for (const outcome of outcomes) if (outcome.status === "rejected") problem("predecessor_mismatch")(outcome.reason);
  assert.ok(waiting > 0, "another session was created while the vault had not answered");
  assert.equal((await environment(cas))["PW"]?.length, 24);
});

test("SL-154 who may update brings a new credential when the old one is no longer good", async (t) => {
  const { azure, cas, owner, pass } = await start(t);
  const client = cas.client(owner);
  await client.uploadSession(policy());
  const { PW: value } = await environment(cas);
  azure.applicationSecrets = new Set(["next-secret"]);
  azure.tokens.clear();
  pass(3_600_000);
  await assert.rejects(environment(cas), refusal("values_unresolved", "values", /TOKEN_REFUSED/));
  const { hash } = await client.readSessionHash("shop");
  await client.uploadSession(policy({ predecessor: hash, credential: 'application_secret: "next-secret"' }));
  assert.equal((await environment(cas))["PW"], value);
});

test("SL-134, SL-154 supplied, rotated and renewed values go to the vault before anybody gets them", async (t) => {
  const { azure, cas, owner, pass } = await start(t);
  const client = cas.client(owner);
  const secrets = `${SECRETS}, {name: r, kind: ascii, rotate: {every: 10d}}, {name: s, kind: ascii, supplied_by: CREATOR}`;
  const { hash } = await client.uploadSession(policy({ secrets, environment: ', R: "$$SCONE::r$$", S: "$$SCONE::s$$"' }));
  await assert.rejects(environment(cas), refusal("values_unresolved", "values", /has not been supplied yet/));
  await client.supplySecret("shop", "s", "by hand");
  assert.equal(entriesOf(azure, hash).length, 2);
  const first = await environment(cas);
  assert.equal(first["S"], "by hand");
  pass(70 * 86_400_000);
  const later = await environment(cas);
  assert.notEqual(later["R"], first["R"]);
  assert.notEqual(later["C"], first["C"]);
  assert.deepEqual([later["PW"], later["S"]], [first["PW"], "by hand"]);
  assert.equal(entriesOf(azure, hash).length, 3);
  await cas.restart();
  assert.deepEqual(await environment(cas), later);
  // Two values at once: neither overwrites the other.
  const both = cas.client(owner);
  const at = await both.readSessionHash("shop");
  await both.uploadSession(
    policy({
      predecessor: at.hash,
      secrets: `${secrets}, {name: s2, kind: ascii, supplied_by: CREATOR}`,
      environment: ', S: "$$SCONE::s$$ $$SCONE::s2$$"',
    }),
  );
  await Promise.all([both.supplySecret("shop", "s", "one"), both.supplySecret("shop", "s2", "two")]);
  assert.equal((await environment(cas))["S"], "one two");
});

test("SL-154 large values are split as the vault wants it, and the keys of volumes lie there too", async (t) => {
  const { azure, cas, owner, pass } = await start(t);
  const large = Array.from({ length: 40 }, (_, at) => `{name: big${at}, kind: ascii, size: 2000}`).join(", ");
  const text = policy({
    secrets: `${SECRETS}, ${large}`,
    more: "volumes: [{name: data}]\nimages: [{name: i, volumes: [{name: data, path: /d}]}]",
  }).replace("    environment:", "    image_name: i\n    environment:");
  const { hash } = await cas.client(owner).uploadSession(text);
  assert.ok(entriesOf(azure, hash).length > 3);
  const start1 = await cas.attest("shop/api", { evidence: undefined });
  start1.connection.close();
  pass(10_000);
  await cas.restart();
  const start2 = await cas.attest("shop/api", { evidence: undefined });
  start2.connection.close();
  assert.match(start1.configuration.volumes[0]?.key ?? "", /^[0-9a-f]{64}$/);
  assert.deepEqual(start2.configuration.volumes, start1.configuration.volumes);
  assert.deepEqual(start2.configuration.environment, start1.configuration.environment);
});

test("SL-145, SL-154 an importer does without an exporter whose vault is away, and its other services start", async (t) => {
  const { azure, cas, owner, pass } = await start(t);
  const client = cas.client(owner);
  await client.uploadSession(policy({ secrets: `${SECRETS}, {name: e, kind: ascii, export: {session: guest}}` }));
  await client.uploadSession(
    testPolicy({
      name: "guest",
      security: OPEN,
      service: `    environment: {E: "$$SCONE::e$$"}\n  - {name: own, command: x, pwd: /, attestation: {mrenclave: [${"ab".repeat(32)}]}}`,
      rest: "secrets: [{name: e, import: {session: shop}}]",
    }),
  );
  assert.equal((await environment(cas, "guest/api"))["E"]?.length, 20);
  azure.isDown = true;
  pass(11 * 60_000);
  await assert.rejects(environment(cas, "guest/api"), refusal("values_unresolved", "values", /values of session shop cannot be read/));
  await environment(cas, "guest/own");
});

test("SL-154 many services that start at once ask the vault once", async (t) => {
  const { azure, cas, owner } = await start(t);
  await cas.client(owner).uploadSession(policy());
  await cas.restart();
  const before = azure.requests.length;
  await Promise.all(Array.from({ length: 8 }, () => environment(cas)));
  const reads = azure.requests.slice(before).filter((request) => request.startsWith(`GET ${VAULT}/secrets/cas-`));
  assert.equal(reads.length, 1);
});

test("SL-50, SL-154 the store is part of the session and of its hash, and survives printing", async (t) => {
  const { cas, owner } = await start(t);
  const client = cas.client(owner);
  const { hash } = await client.uploadSession(policy());
  const { text } = await client.readSession("shop");
  const { session } = parseSession(text);
  assert.deepEqual(session?.secretStore, { kind: "akv", vault: VAULT, token: undefined });
  assert.equal(session && sessionHash(session), hash);
});
